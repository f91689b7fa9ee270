//! Who should vote: a pure decision that the leader takes from what it knows about everybody.
//!
//! Joiners start as learners and are promoted once they have caught up and stayed. Voters that are gone are swapped for
//! live ones or demoted. The number of voters is odd and at most [`limits::VOTERS_MAX`]; a cluster that once had three
//! voters never has fewer. Servers come before tabs, and from three servers on the quorum is *anchored*: the tabs among
//! the voters are too few to be needed, so closing every tab at once loses nothing. What is decided here may be wrong
//! or forgotten without harm: joint consensus makes every change safe.

use super::config::{Mutation, NodeConfig};
use crate::ids::NodeId;
use crate::limits;
use crate::raft::{Membership, MembershipChange};
use crate::time::{Duration, Time};
use crate::wire::session::Kind;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// From this many servers on, they alone must be a majority.
const ANCHORING_SERVERS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutopilotConfig {
    /// A learner is promoted after it has been connected and caught up for so long.
    pub stable_after: Duration,
    /// A cluster that reached this many voters does not shrink below it: two of three survive a loss, one of one does not.
    pub voters_floor: usize,
    /// A voter that is gone for so long gives its vote to somebody else.
    pub dead_voter_after: Duration,
    /// A learner that is gone for so long is removed.
    pub dead_learner_after: Duration,
    /// A tab that nobody looks at for so long counts less than one that is seen.
    pub hidden_after: Duration,
    /// Entries that a learner may lack and still count as caught up: a busy log never stands still.
    pub lag_max: u64,
    /// How often the leader thinks about it.
    pub interval: Duration,
}

impl Default for AutopilotConfig {
    fn default() -> AutopilotConfig {
        AutopilotConfig {
            stable_after: Duration::from_secs(1),
            voters_floor: 3,
            dead_voter_after: Duration::from_secs(3),
            dead_learner_after: Duration::from_secs(30),
            hidden_after: Duration::from_secs(5),
            lag_max: 64,
            interval: Duration::from_millis(200),
        }
    }
}

/// What the leader knows about one node, be it a member or only connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub kind: Kind,
    pub link: Link,
    /// Since when it has everything, as far as the leader knows.
    pub caught_up_since: Option<Time>,
    /// Since when nobody looks at it.
    pub hidden_since: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Online { since: Time },
    Gone { since: Time },
}

#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    pub now: Time,
    pub leader: NodeId,
    pub membership: &'a Membership,
    pub candidates: &'a BTreeMap<NodeId, Candidate>,
    /// Members that somebody asked to remove.
    pub unwanted: &'a BTreeSet<NodeId>,
}

/// The better, the smaller. Incumbents come before others of their class, so that nothing moves without a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    class: Class,
    incumbency: Incumbency,
    node: NodeId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Server,
    Tab,
    HiddenTab,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Incumbency {
    Leader,
    Voter,
    Learner,
}

/// The configuration to go to, or `None` when the present one is right.
pub(super) fn decide(facts: &Facts<'_>, config: &NodeConfig) -> Option<MembershipChange> {
    if facts.membership.is_joint() || !facts.membership.voters.contains(&facts.leader) {
        return None;
    }
    let voters = facts.voters(config)?;
    let online = voters.iter().filter(|node| facts.is_online(**node)).count();
    if online < majority(voters.len()) {
        return None;
    }
    let learners = facts.learners(&voters, config);
    if voters == facts.membership.voters && learners == facts.membership.learners {
        return None;
    }
    Some(MembershipChange { voters, learners })
}

impl Facts<'_> {
    fn is_online(&self, node: NodeId) -> bool {
        node == self.leader || matches!(self.link(node), Some(Link::Online { .. }))
    }

    fn link(&self, node: NodeId) -> Option<Link> {
        self.candidates.get(&node).map(|candidate| candidate.link)
    }

    fn is_gone_for(&self, node: NodeId, patience: Duration) -> bool {
        match self.link(node) {
            _ if node == self.leader => false,
            Some(Link::Online { .. }) => false,
            Some(Link::Gone { since }) => self.now.since(since) >= patience,
            None => true,
        }
    }

    /// `None` when so many are gone that pruning them would leave the decision to a minority.
    fn voters(&self, config: &NodeConfig) -> Option<BTreeSet<NodeId>> {
        let incumbents = self.membership.voters.iter().map(|voter| self.rank(*voter, config));
        let (mut eligible, mut gone): (Vec<Rank>, Vec<Rank>) =
            incumbents.partition(|rank| self.is_fit_voter(rank.node, config));
        let prune_max = self.membership.voters.len().saturating_sub(1) / 2;
        if gone.len() > prune_max && !config.broken(Mutation::MajoritiesArePruned) {
            return None;
        }
        gone.sort_unstable();
        eligible.sort_unstable();
        let reserve: Vec<Rank> = eligible.iter().chain(&gone).copied().collect();
        let promotable =
            self.membership.learners.iter().filter(|learner| self.is_promotable(**learner, config));
        eligible.extend(promotable.map(|learner| self.rank(*learner, config)));
        eligible.sort_unstable();
        Some(self.not_below_the_floor(anchored_and_odd(eligible), &reserve, config))
    }

    fn is_fit_voter(&self, node: NodeId, config: &NodeConfig) -> bool {
        let is_hasty = config.broken(Mutation::AbsentVotersArePruned);
        let patience = if is_hasty { Duration::ZERO } else { config.autopilot.dead_voter_after };
        let unfit = self.unwanted.contains(&node) || self.is_gone_for(node, patience);
        node == self.leader || !unfit
    }

    fn is_promotable(&self, node: NodeId, config: &NodeConfig) -> bool {
        let Some(candidate) = self.candidates.get(&node) else { return false };
        let (Link::Online { since }, Some(caught_up)) = (candidate.link, candidate.caught_up_since) else {
            return false;
        };
        !self.unwanted.contains(&node)
            && self.now.since(since.max(caught_up)) >= config.autopilot.stable_after
    }

    /// Fills up with voters of now, the live ones first. A single voter stays who it is: nothing is won by a change.
    fn not_below_the_floor(
        &self,
        chosen: BTreeSet<NodeId>,
        reserve: &[Rank],
        config: &NodeConfig,
    ) -> BTreeSet<NodeId> {
        let had_it = self.membership.voters.len() >= config.autopilot.voters_floor;
        let floor = if had_it && !config.broken(Mutation::VotersShrinkToOne) {
            config.autopilot.voters_floor
        } else {
            1
        };
        let mut chosen = if chosen.len() > 1 { chosen } else { BTreeSet::from([self.leader]) };
        for rank in reserve {
            if chosen.len() >= floor {
                break;
            }
            chosen.insert(rank.node);
        }
        chosen
    }

    fn learners(&self, voters: &BTreeSet<NodeId>, config: &NodeConfig) -> BTreeSet<NodeId> {
        let members = self.membership.voters.iter().chain(&self.membership.learners);
        let staying = members.filter(|node| !self.is_gone_for(**node, config.autopilot.dead_learner_after));
        let (here, away): (Vec<NodeId>, Vec<NodeId>) =
            staying.copied().partition(|node| self.is_online(*node));
        let connected = self.candidates.keys().copied().filter(|node| self.is_online(*node));
        // More than there is room for would be no configuration. Each once, or doubles would take the room of others.
        let mut learners = BTreeSet::new();
        for node in here.into_iter().chain(connected).chain(away) {
            let is_wanted = !voters.contains(&node) && !self.unwanted.contains(&node);
            if is_wanted && voters.len() + learners.len() < limits::ROOM_MEMBERS_MAX {
                learners.insert(node);
            }
        }
        learners
    }

    fn rank(&self, node: NodeId, config: &NodeConfig) -> Rank {
        let incumbency = match node {
            _ if node == self.leader => Incumbency::Leader,
            _ if self.membership.voters.contains(&node) => Incumbency::Voter,
            _ => Incumbency::Learner,
        };
        let class = match self.candidates.get(&node) {
            Some(Candidate { kind: Kind::Server, .. }) => Class::Server,
            Some(Candidate { hidden_since: Some(since), .. })
                if self.now.since(*since) >= config.autopilot.hidden_after =>
            {
                Class::HiddenTab
            }
            _ => Class::Tab,
        };
        Rank { class, incumbency, node }
    }
}

pub(super) fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// As many of the best as the rules allow.
fn anchored_and_odd(ranked: Vec<Rank>) -> BTreeSet<NodeId> {
    let servers = ranked.iter().filter(|rank| rank.class == Class::Server).count().min(limits::VOTERS_MAX);
    let tabs_max = if servers >= ANCHORING_SERVERS { servers - 1 } else { limits::VOTERS_MAX };
    let room = (servers + tabs_max).min(limits::VOTERS_MAX).min(ranked.len());
    let odd = if room % 2 == 0 { room.saturating_sub(1) } else { room };
    ranked.into_iter().take(odd).map(|rank| rank.node).collect()
}
