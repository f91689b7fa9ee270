//! The second part of a run: no more faults, and everything that was acknowledged has to be there.

use super::{Due, World};
use crate::checker::Violation;
use crate::member::Member;
use shared::ids::{Hash, NodeId};
use shared::node::{BlockName, Input};
use shared::raft::Membership;
use shared::state_machine::{BlockRef, JobState, State};
use shared::time::Duration;

impl World {
    pub(super) fn end_trouble(&mut self) -> Result<(), Violation> {
        self.troubled = false;
        self.ambush = None;
        self.network.heal();
        self.transcript.line(self.now, || "-- no more faults".to_owned());
        let nodes: Vec<NodeId> = self.members.keys().copied().collect();
        for node in nodes {
            let boot = self.boot_of(node);
            match self.members.get(&node).map(|member| member.is_up()) {
                Some(true) => {
                    self.agenda.plan(self.now, Due::Connect { node, boot });
                    self.agenda.plan(
                        self.now + Duration::from_millis(1),
                        Due::Input { node, boot, input: Input::Deadline },
                    );
                }
                _ => self.agenda.plan(self.now, Due::Start { node }),
            }
        }
        let turns = self.keys.trouble_over(self.now, &mut self.rng);
        self.take_turns(turns);
        self.thaw_all()
    }

    /// What the cluster still owes; nothing when it has recovered.
    pub(super) fn what_is_missing(&mut self) -> Result<Option<String>, Violation> {
        let seen: Vec<_> = (self.members.values())
            .filter_map(|member| Some((member.id, member.process.as_ref()?.node.inspect())))
            .collect();
        if seen.len() < self.members.len() {
            return Ok(Some("a member".to_owned()));
        }
        let Some((leader, top)) = seen.iter().find(|(_, node)| node.raft.is_leader() && node.raft.ready)
        else {
            return Ok(Some("a leader".to_owned()));
        };
        if let Some((behind, _)) = seen.iter().find(|(_, node)| node.applied != top.applied) {
            return Ok(Some(format!("{behind} at the leader's index")));
        }
        let leader = *leader;
        let Some(process) = self.members.get(&leader).and_then(|member| member.process.as_ref()) else {
            return Ok(Some("a leader".to_owned()));
        };
        if let Some(missing) = self.workload.missing(process.node.state())? {
            return Ok(Some(missing));
        }
        if let Some(missing) = self.keys.missing(process.node.state())? {
            return Ok(Some(missing));
        }
        self.told_in_full = self.keys.is_told_in_full(process.node.state());
        let lost = |hash: &Hash| !self.members.values().any(|member| holds(member, hash));
        if let Some(hash) = self.workload.blocks().find(lost) {
            return Ok(Some(format!("block {hash} of an acknowledged document")));
        }
        Ok(self.in_danger(&top.raft.membership, process.node.state()))
    }

    /// A block that the loss of a minority of the voters would lose, learners or not.
    fn in_danger(&self, membership: &Membership, state: &State) -> Option<String> {
        if membership.is_joint() {
            return Some("the end of a change of voters".to_owned());
        }
        let in_danger = |block: &&BlockRef| {
            let holds_it =
                |voter: &&NodeId| self.members.get(*voter).is_some_and(|member| holds(member, &block.hash));
            let copies = membership.voters.iter().filter(holds_it).count();
            copies < membership.voters.len().div_ceil(2)
        };
        let block = blocks(state).find(in_danger)?;
        let holders: Vec<String> = (self.members.values())
            .filter(|member| holds(member, &block.hash))
            .map(|member| member.id.to_string())
            .collect();
        Some(format!("copies of block {} on the voters: it is on {}", block.hash, holders.join(", ")))
    }
}

/// Of documents, also of one that somebody asked to delete, and of results.
pub(super) fn blocks(state: &State) -> impl Iterator<Item = &BlockRef> {
    let documents = state.documents.values().flat_map(|document| &document.blocks);
    let results = state.jobs.values().filter_map(|job| match &job.state {
        JobState::Done(result) => Some(&result.table),
        _ => None,
    });
    documents.chain(results.flatten())
}

pub(super) fn holds(member: &Member, hash: &Hash) -> bool {
    member.disk.block(BlockName::Content(*hash)).is_some()
}
