//! The leader's standing duties: who is a member and who votes, what the cluster remembers of them, what has expired.

use super::autopilot::{Candidate, Facts, Link, decide};
use super::consensus::Consensus;
use super::context::{Submission, Surroundings};
use super::leaving;
use crate::ids::NodeId;
use crate::limits;
use crate::raft::{Index, PeerState, PeerStatus, Status, Term};
use crate::state_machine::{Command, MemberRecord};
use crate::time::{Duration, Time};
use crate::wire::session::{Kind, Profile};
use std::collections::{BTreeMap, BTreeSet};

/// A record that was submitted and is not to be seen yet is submitted again after this.
const SUBMIT_AGAIN_AFTER: Duration = Duration::from_secs(3);

/// A removal that nobody asks for any more is forgotten after this.
const UNWANTED_FOR: Duration = Duration::from_secs(5);

/// Keys and sessions are taken out at their time, and not in more steps than this.
const KEY_EXPIRY_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct Steward {
    /// In office since the start of this term.
    term: Option<Term>,
    candidates: BTreeMap<NodeId, Candidate>,
    unwanted: BTreeMap<NodeId, Time>,
    /// Records on their way into the log; `None` is a record to be forgotten.
    submitted: BTreeMap<NodeId, (Option<MemberRecord>, Time)>,
    /// Since when a record belongs to nobody.
    orphaned: BTreeMap<NodeId, Time>,
    due: Option<Time>,
    expiry_due: Time,
    /// The next key or session whose time is over, though not too soon after those before.
    keys_due: Option<Time>,
    keys_not_before: Time,
}

impl Steward {
    pub fn remove(&mut self, now: Time, node: NodeId) {
        self.unwanted.insert(node, now + UNWANTED_FOR);
        self.due = Some(now);
    }

    /// Somebody came or went: thinks about it at once.
    pub fn hurry(&mut self, now: Time) {
        if self.term.is_some() {
            self.due = Some(now);
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        self.due.into_iter().chain(self.keys_due).min()
    }

    pub fn advance(&mut self, around: &mut Surroundings, consensus: &mut Consensus) {
        if around.leader != Some(around.me) {
            *self = Steward::default();
            return;
        }
        if self.term != Some(around.term) {
            // What the leader before knew is gone; those who are dead are found dead again.
            *self = Steward { term: Some(around.term), due: Some(around.now), ..Steward::default() };
        }
        self.expire_keys(around);
        if self.due.is_none_or(|due| due > around.now) {
            return;
        }
        self.due = Some(around.now + around.config.autopilot.interval);
        if around.leaving && leaving::hand_over(around, consensus) {
            return;
        }
        self.unwanted.retain(|_, until| *until > around.now);
        self.observe(around, consensus.status());
        self.adjust_membership(around, consensus);
        self.keep_records(around);
        self.expire(around);
    }

    fn observe(&mut self, around: &Surroundings, status: &Status) {
        let connected = around.peers.keys().copied().chain([around.me]);
        let nodes: BTreeSet<NodeId> = status.membership.members().into_iter().chain(connected).collect();
        let before = std::mem::take(&mut self.candidates);
        for node in nodes {
            let seen = look_at(node, before.get(&node), around, status);
            self.candidates.insert(node, seen);
        }
    }

    fn adjust_membership(&mut self, around: &Surroundings, consensus: &mut Consensus) {
        let status = consensus.status();
        let is_settled = status.membership_index <= status.commit && !status.membership.is_joint();
        if !status.ready || !is_settled || status.transferring.is_some() {
            return;
        }
        let unwanted = self.unwanted.keys().copied().collect();
        let facts = Facts {
            now: around.now,
            leader: around.me,
            membership: &status.membership,
            candidates: &self.candidates,
            unwanted: &unwanted,
        };
        if let Some(better) = self.better_leader(around, status) {
            let _not_now = consensus.raft.transfer(around.now, better);
            return;
        }
        if let Some(change) = decide(&facts, &around.config) {
            // Whatever stands in the way now may be gone at the next look.
            let _not_now = consensus.raft.change_membership(around.now, change);
        }
    }

    /// A browser slows down the timers of a tab that nobody looks at: it should not lead if somebody else can.
    fn better_leader(&self, around: &Surroundings, status: &Status) -> Option<NodeId> {
        let settings = &around.config.autopilot;
        let is_hidden = |node: NodeId| {
            let since = self.candidates.get(&node).and_then(|candidate| candidate.hidden_since);
            since.is_some_and(|since| around.now.since(since) >= settings.hidden_after)
        };
        let fit = |node: NodeId| {
            let Some(candidate) = self.candidates.get(&node) else { return false };
            matches!(candidate.link, Link::Online { since } if around.now.since(since) >= settings.stable_after)
                && candidate.caught_up_since.is_some()
                && candidate.hidden_since.is_none()
        };
        if !is_hidden(around.me) {
            return None;
        }
        let kind = |node: &NodeId| self.candidates.get(node).map(|candidate| candidate.kind == Kind::Tab);
        status
            .membership
            .voters
            .iter()
            .copied()
            .filter(|voter| fit(*voter))
            .min_by_key(|node| (kind(node), *node))
    }

    fn keep_records(&mut self, around: &mut Surroundings) {
        let profiles = around.peers.iter().map(|(node, profile)| (*node, profile));
        let mut wanted: Vec<(NodeId, Option<MemberRecord>)> = profiles
            .chain([(around.me, &around.profile)])
            .map(|(node, profile)| (node, Some(record_of(profile))))
            .filter(|(node, record)| around.machine.state().members.get(node) != record.as_ref())
            .collect();
        wanted.extend(self.forgettable(around).into_iter().map(|node| (node, None)));
        self.submitted.retain(|node, (record, at)| {
            around.machine.state().members.get(node) != record.as_ref()
                && around.now.since(*at) < SUBMIT_AGAIN_AFTER
        });
        for (node, record) in wanted {
            if self.submitted.get(&node).is_some_and(|(submitted, _)| *submitted == record) {
                continue;
            }
            self.submitted.insert(node, (record.clone(), around.now));
            let command = match record {
                Some(record) => Command::SetMember { node, record },
                None => Command::ForgetMember { node },
            };
            around.submissions.push(Submission { command, request: None });
        }
    }

    fn forgettable(&mut self, around: &Surroundings) -> Vec<NodeId> {
        let orphans: BTreeSet<NodeId> = (around.machine.state().members.keys())
            .filter(|node| !around.membership.contains(**node) && !around.is_online(**node))
            .copied()
            .collect();
        self.orphaned.retain(|node, _| orphans.contains(node));
        for node in &orphans {
            self.orphaned.entry(*node).or_insert(around.now);
        }
        (self.orphaned.iter())
            .filter(|(node, since)| {
                self.unwanted.contains_key(*node) || around.now.since(**since) >= around.config.forget_after
            })
            .map(|(node, _)| *node)
            .collect()
    }

    fn expire_keys(&mut self, around: &mut Surroundings) {
        let state = around.machine.state();
        let end = state.keys.next_end().into_iter().chain(state.sessions.next_end()).min();
        let end = end.map(|end| around.clock.own(end, around.now));
        self.keys_due = end.map(|end| end.max(self.keys_not_before));
        if self.keys_due.is_some_and(|due| due <= around.now) {
            self.keys_not_before = around.now + KEY_EXPIRY_INTERVAL;
            self.keys_due = Some(self.keys_not_before);
            around.submissions.push(Submission { command: Command::ExpireKeys, request: None });
        }
    }

    fn expire(&mut self, around: &mut Surroundings) {
        if self.expiry_due > around.now {
            return;
        }
        self.expiry_due = around.now + around.config.expiry_interval;
        let stamp = around.stamp();
        let is_over = |at: Option<Time>| at.is_some_and(|at| at <= stamp);
        let state = around.machine.state();
        let is_old = |removed_at: &Time| stamp.since(*removed_at) >= limits::REMOVED_DOCUMENT_AGE_MAX;
        if state.documents.values().any(|document| is_over(document.expires_at))
            || state.removed.values().any(is_old)
        {
            around.submissions.push(Submission { command: Command::Expire, request: None });
        }
    }
}

/// What the leader sees of a node now, with the times that it remembers.
fn look_at(node: NodeId, before: Option<&Candidate>, around: &Surroundings, status: &Status) -> Candidate {
    let now = around.now;
    let profile = around.profile_of(node);
    let peer = status.peers.get(&node);
    let hears = node == around.me || peer.is_some_and(|peer| peer.active);
    // A voter that is connected and says nothing (a frozen tab) is as good as gone.
    let is_mute = status.membership.is_voter(node) && !hears;
    let link = match (before.map(|before| before.link), profile.is_some() && !is_mute) {
        (Some(link @ Link::Online { .. }), true) | (Some(link @ Link::Gone { .. }), false) => link,
        (_, true) => Link::Online { since: now },
        (_, false) => Link::Gone { since: now },
    };
    let caught_up = hears && peer.is_none_or(|peer| has_caught_up(peer, around, status));
    let hidden = profile.is_some_and(|profile| profile.hidden);
    Candidate {
        kind: profile.map(|profile| profile.kind).unwrap_or_else(|| remembered_kind(node, around)),
        link,
        caught_up_since: since(caught_up, before.and_then(|before| before.caught_up_since), now),
        hidden_since: since(hidden, before.and_then(|before| before.hidden_since), now),
    }
}

fn since(holds: bool, before: Option<Time>, now: Time) -> Option<Time> {
    holds.then(|| before.unwrap_or(now))
}

fn has_caught_up(peer: &PeerStatus, around: &Surroundings, status: &Status) -> bool {
    let lag = status.last.index.get().saturating_sub(peer.matched.get());
    peer.state == PeerState::Replicate && peer.matched > Index::ZERO && lag <= around.config.autopilot.lag_max
}

fn remembered_kind(node: NodeId, around: &Surroundings) -> Kind {
    around.machine.state().members.get(&node).map_or(Kind::Tab, |record| record.kind)
}

fn record_of(profile: &Profile) -> MemberRecord {
    MemberRecord {
        name: profile.name.clone(),
        kind: profile.kind,
        http: profile.http.clone(),
        domain: profile.domain,
    }
}
