//! Finds out what the trouble is, from what this node sees. What explains the rest comes first.

use super::autopilot::majority;
use super::context::Surroundings;
use super::trouble::{Half, NoMajority, Reason, Trouble};
use super::view::{Sight, name_of};
use crate::ids::NodeId;
use crate::raft::{Campaign, Index, Refusal, Status, Term};
use crate::time::{Duration, Time};
use std::collections::{BTreeMap, BTreeSet};

/// What a healthy cluster does in far less. Before, silence is no trouble.
const PATIENCE: Duration = Duration::from_secs(1);

/// Since when a log is longer than what is committed of it, without any of it being committed.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    commit: Index,
    stuck_since: Option<Time>,
}

impl Pulse {
    pub fn look(&mut self, now: Time, status: &Status) {
        if status.commit > self.commit || status.commit >= status.last.index {
            *self = Pulse { commit: status.commit, stuck_since: None };
        }
        if status.commit < status.last.index {
            self.stuck_since.get_or_insert(now);
        }
    }

    pub fn stuck_since(&self) -> Option<Time> {
        self.stuck_since
    }
}

pub(super) fn diagnose(around: &Surroundings, sight: &Sight<'_>) -> Option<Trouble> {
    cut_off(sight)
        .or_else(|| states_differ(around, sight))
        .or_else(|| disk_stalled(around, sight))
        .or_else(|| outside(around, sight))
        .or_else(|| no_majority(around))
        .or_else(|| leaderless(around, sight))
        .or_else(|| no_progress(around, sight))
        .or_else(|| behind(around, sight))
}

fn cut_off(sight: &Sight<'_>) -> Option<Trouble> {
    match sight.refused {
        Some(reason) => Some(Trouble::Refused { reason: reason.to_owned() }),
        None => (!sight.connected).then_some(Trouble::NotConnected),
    }
}

/// Members that applied the same log hold the same state, whenever they say so.
fn states_differ(around: &Surroundings, sight: &Sight<'_>) -> Option<Trouble> {
    let mut seen: BTreeMap<u64, (NodeId, u64)> = BTreeMap::new();
    let own = (around.me, sight.own);
    let others = sight.statuses.iter().map(|(node, status)| (*node, *status));
    for (node, status) in others.filter(|(node, _)| *node != around.me).chain([own]) {
        let (first, digest) = *seen.entry(status.applied).or_insert((node, status.digest));
        if digest != status.digest {
            let members = [name_of(around, first), name_of(around, node)];
            return Some(Trouble::StatesDiffer { members, applied: status.applied });
        }
    }
    None
}

fn disk_stalled(around: &Surroundings, sight: &Sight<'_>) -> Option<Trouble> {
    let lasting = around.now.since(sight.raft.writing_since?);
    (lasting >= PATIENCE).then_some(Trouble::DiskStalled { lasting })
}

/// A node that is not a member yet, or whose state is on its way.
fn outside(around: &Surroundings, sight: &Sight<'_>) -> Option<Trouble> {
    let is_member = around.membership.contains(around.me);
    match (&sight.raft.arriving, &sight.raft.campaign) {
        (Some(arrival), None) => {
            let percent = (arrival.bytes.saturating_mul(100) / arrival.bytes_total.max(1)).min(100) as u8;
            Some(Trouble::Installing { percent })
        }
        (_, Some(campaign)) if !is_member => {
            Some(Trouble::NotLetIn { lasting: around.now.since(campaign.since) })
        }
        (_, None) if !is_member => Some(Trouble::CatchingUp { behind: lag(around, sight) }),
        _ => None,
    }
}

/// Of two halves of a change, the one that lacks more.
fn no_majority(around: &Surroundings) -> Option<Trouble> {
    let membership = &around.membership;
    let halves = if membership.outgoing.is_empty() {
        vec![(Half::All, &membership.voters)]
    } else {
        vec![(Half::Old, &membership.outgoing), (Half::New, &membership.voters)]
    };
    let lacks = halves.into_iter().filter_map(|(of, voters)| lack(around, of, voters));
    lacks.max_by_key(|lack| lack.needed - lack.online).map(Trouble::NoMajority)
}

fn lack(around: &Surroundings, of: Half, voters: &BTreeSet<NodeId>) -> Option<NoMajority> {
    let (online, missing): (Vec<NodeId>, Vec<NodeId>) =
        voters.iter().copied().partition(|voter| around.is_online(*voter));
    let (online, needed) = (online.len() as u32, majority(voters.len()) as u32);
    (online < needed).then(|| NoMajority {
        of,
        online,
        voters: voters.len() as u32,
        needed,
        missing: names(around, missing),
    })
}

fn leaderless(around: &Surroundings, sight: &Sight<'_>) -> Option<Trouble> {
    let campaign = sight.raft.campaign.as_ref()?;
    let lasting = around.now.since(campaign.since);
    if sight.raft.term >= Term::MAX {
        return Some(Trouble::NoTermLeft);
    }
    if let Some(mute) = mute(around, campaign) {
        return Some(mute);
    }
    let refusals = (campaign.answers.iter())
        .filter_map(|(node, answer)| Some((name_of(around, *node), reason(answer.refusal?))))
        .collect();
    Some(Trouble::Electing { lasting, rounds: campaign.rounds, refusals })
}

fn reason(refusal: Refusal) -> Reason {
    match refusal {
        Refusal::LogBehind => Reason::KnowsMore,
        Refusal::LeaderAlive => Reason::HearsLeader,
        Refusal::VoteGiven | Refusal::Stands => Reason::HelpsAnother,
    }
}

/// Voters that are connected and let questions go unanswered, if the others are too few without them.
fn mute(around: &Surroundings, campaign: &Campaign) -> Option<Trouble> {
    if campaign.rounds == 0 {
        return None;
    }
    let heard_at = |node: &NodeId| match campaign.answers.get(node) {
        Some(answer) => answer.at.max(campaign.since),
        None => campaign.since,
    };
    let voters = &around.membership.voters;
    let online = voters.iter().copied().filter(|voter| around.is_online(*voter));
    let (silent, answering): (Vec<NodeId>, Vec<NodeId>) =
        online.partition(|voter| *voter != around.me && around.now.since(heard_at(voter)) >= PATIENCE * 2);
    let needed = majority(voters.len());
    if answering.len() >= needed {
        return None;
    }
    let last_heard = silent.iter().map(heard_at).max()?;
    Some(Trouble::Mute {
        silent: names(around, silent),
        answering: answering.len() as u32,
        voters: voters.len() as u32,
        needed: needed as u32,
        lasting: around.now.since(last_heard),
    })
}

/// There is a leader, and still nothing moves.
fn no_progress(around: &Surroundings, sight: &Sight<'_>) -> Option<Trouble> {
    if let Some(to) = sight.raft.transferring {
        return Some(Trouble::HandingOver { to: name_of(around, to) });
    }
    let lasting = |since: Option<Time>| Some(around.now.since(since?)).filter(|lasting| *lasting >= PATIENCE);
    if let Some(lasting) = lasting(sight.stuck_since) {
        return Some(Trouble::NotCommitting { lasting, lagging: lagging(around, sight.raft) });
    }
    lasting(sight.turned_away_since).map(|lasting| Trouble::TurnedAway { lasting })
}

/// Voters that have not confirmed the first of the entries that wait; only a leader knows.
fn lagging(around: &Surroundings, raft: &Status) -> Vec<String> {
    let voters = around.membership.all_voters().into_iter();
    let late = voters.filter(|voter| raft.peers.get(voter).is_some_and(|peer| peer.matched <= raft.commit));
    names(around, late)
}

fn behind(around: &Surroundings, sight: &Sight<'_>) -> Option<Trouble> {
    let behind = lag(around, sight)?;
    (behind > around.config.autopilot.lag_max).then_some(Trouble::CatchingUp { behind: Some(behind) })
}

fn lag(around: &Surroundings, sight: &Sight<'_>) -> Option<u64> {
    let leader = around.leader.filter(|leader| *leader != around.me)?;
    let status = sight.statuses.get(&leader)?;
    Some(status.commit.saturating_sub(sight.own.applied))
}

fn names(around: &Surroundings, nodes: impl IntoIterator<Item = NodeId>) -> Vec<String> {
    nodes.into_iter().map(|node| name_of(around, node)).collect()
}
