//! The time line: who came and went, who leads, what was stored and counted.

use super::api::{Event, Happening, What};
use super::context::Surroundings;
use super::contract::Ready;
use super::view::{kind_of, name_of, quorum};
use crate::ids::{JobId, NodeId};
use crate::raft::{Membership, Term};
use crate::state_machine::{Change, Job, JobState};
use crate::time::Time;
use std::sync::Arc;

/// What was told last, so that the next look finds what is new.
#[derive(Debug, Default)]
pub(super) struct Happenings {
    /// The last leader that was told of.
    led_by: Option<(NodeId, Term)>,
    leader_lost_at: Option<Time>,
    /// When the leader's connection closed, which is before anybody can know more.
    leader_left_at: Option<Time>,
    membership: Arc<Membership>,
    quorum_lost: bool,
}

impl Happenings {
    pub fn new(membership: Arc<Membership>) -> Happenings {
        Happenings { membership, ..Happenings::default() }
    }

    pub fn joined(&mut self, around: &Surroundings, node: NodeId, ready: &mut Ready) {
        if around.leader == Some(node) {
            self.leader_left_at = None;
        }
        let (name, kind) = (name_of(around, node), kind_of(around, node));
        tell(around.now, What::MemberJoined { node, name, kind }, ready);
    }

    pub fn left(&mut self, around: &Surroundings, node: NodeId, name: String, ready: &mut Ready) {
        if around.leader == Some(node) {
            self.leader_left_at = Some(around.now);
        }
        tell(around.now, What::MemberLeft { node, name }, ready);
    }

    /// Compares what is with what was told.
    pub fn look(&mut self, around: &Surroundings, connected: bool, ready: &mut Ready) {
        self.look_at_leader(around, ready);
        self.look_at_membership(around, ready);
        if connected {
            self.look_at_quorum(around, ready);
        }
    }

    fn look_at_leader(&mut self, around: &Surroundings, ready: &mut Ready) {
        let now = around.leader.map(|leader| (leader, around.term));
        if now == self.led_by && self.leader_lost_at.is_none() {
            return;
        }
        if let (Some((node, term)), None) = (self.led_by, self.leader_lost_at) {
            self.leader_lost_at = Some(self.leader_left_at.take().unwrap_or(around.now));
            let name = name_of(around, node);
            tell(around.now, What::LeaderLost { node, name, term: term.get() }, ready);
        }
        if let Some((node, term)) = now {
            let after_micros =
                self.leader_lost_at.take().map_or(0, |lost| around.now.since(lost).as_micros() as u64);
            let name = name_of(around, node);
            tell(around.now, What::LeaderElected { node, name, term: term.get(), after_micros }, ready);
            self.led_by = now;
            self.leader_left_at = None;
        }
    }

    fn look_at_membership(&mut self, around: &Surroundings, ready: &mut Ready) {
        if Arc::ptr_eq(&self.membership, &around.membership) || around.membership.is_joint() {
            return;
        }
        let before = std::mem::replace(&mut self.membership, around.membership.clone());
        // The first configuration that a node sees is no news.
        if before.voters.is_empty() {
            return;
        }
        let after = &around.membership;
        for node in before.members().union(&after.members()).copied() {
            let name = || name_of(around, node);
            let what = match (before.is_voter(node), after.is_voter(node)) {
                (false, true) => What::MemberPromoted { node, name: name() },
                (true, false) if after.contains(node) => What::MemberDemoted { node, name: name() },
                _ if !after.contains(node) => What::MemberRemoved { node, name: name() },
                _ => continue,
            };
            tell(around.now, what, ready);
        }
    }

    fn look_at_quorum(&mut self, around: &Surroundings, ready: &mut Ready) {
        let quorum = quorum(around);
        let lost = quorum.online < quorum.needed;
        if lost != self.quorum_lost {
            self.quorum_lost = lost;
            tell(around.now, if lost { What::QuorumLost } else { What::QuorumRestored }, ready);
        }
    }
}

/// What a command changed. `at` is its own time, so that a node that catches up tells history as it was; `None` for a
/// snapshot, which tells what is and not when it came.
pub(super) fn applied(around: &Surroundings, at: Option<Time>, changes: &[Change], ready: &mut Ready) {
    let state = around.machine.state();
    for change in changes {
        let (event, what) = match change {
            Change::DocumentAdded(id) => {
                let Some(document) = state.documents.get(id) else { continue };
                let (name, bytes) = (document.name.clone(), document.bytes);
                let what = What::DocumentAdded { document: *id, name, bytes };
                (Event::DocumentAdded(Box::new(document.clone())), what)
            }
            Change::DocumentRemoved(id) => {
                (Event::DocumentRemoved(*id), What::DocumentRemoved { document: *id })
            }
            Change::JobSubmitted(id) | Change::JobEnded(id) => {
                let Some(job) = state.jobs.get(id) else { continue };
                (Event::Job(Box::new(job.clone())), story_of(*id, job))
            }
            Change::JobForgotten(_) | Change::MemberChanged(_) | Change::Key(_) => continue,
        };
        ready.events.push(event);
        if let Some(at) = at {
            tell(at, what, ready);
        }
    }
}

fn story_of(job_id: JobId, job: &Job) -> What {
    match &job.state {
        JobState::Running => What::JobSubmitted { job: job_id },
        JobState::Done(result) => What::JobDone {
            job: job_id,
            total: result.summary.totals.total,
            unique: result.summary.totals.unique,
            micros: result.micros,
        },
        JobState::Cancelled { .. } => What::JobCancelled { job: job_id },
        JobState::Failed { reason, .. } => What::JobFailed { job: job_id, reason: reason.clone() },
    }
}

fn tell(at: Time, what: What, ready: &mut Ready) {
    ready.events.push(Event::Happened(Happening { at, what }));
}
