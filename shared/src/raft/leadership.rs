//! What only a leader keeps. It begins with an election and is thrown away whole when leadership ends.

use super::lease::Lease;
use super::log::Log;
use super::membership::Membership;
use super::message::Round;
use super::progress::{Departure, Progress};
use super::reads::Reads;
use super::types::{Index, Position};
use crate::ids::NodeId;
use crate::time::Time;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(super) struct Leadership {
    /// Every other member, and for a while those that left.
    pub peers: BTreeMap<NodeId, Progress>,
    /// This leader's first entry. Once it commits, so is everything before, and the leader knows the commit index (§6.4).
    pub noop: Index,
    pub round: Round,
    pub reads: Reads,
    pub lease: Lease,
    pub heartbeat_at: Time,
    /// When those followers are told what is committed who do not know it yet.
    pub tell_at: Option<Time>,
    pub transfer: Option<Transfer>,
    /// Something changed that may let messages go out.
    pub pump: bool,
}

/// Leadership on its way to another member (§3.10).
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    pub to: NodeId,
    pub until: Time,
}

impl Leadership {
    /// `last` is the end of the log before the leader's first entry. Whom the leader before removed last, it may not have
    /// told: they hear of it until `farewell`.
    pub fn new(me: NodeId, log: &Log, last: Position, now: Time, farewell: Time) -> Leadership {
        let next = last.index.next();
        let members = log.last_change().flat_map(Membership::members).filter(|id| *id != me);
        let mut leadership = Leadership {
            peers: members.map(|id| (id, Progress::new(next, now))).collect(),
            noop: next,
            round: Round::default(),
            reads: Reads::default(),
            lease: Lease::default(),
            heartbeat_at: now,
            tell_at: None,
            transfer: None,
            pump: true,
        };
        leadership.follow_membership(me, log, next, now, farewell);
        leadership
    }

    /// Brings the peers in line with the configuration in force. New ones are probed from `next`; those that left
    /// hear of it until `farewell`.
    pub fn follow_membership(&mut self, me: NodeId, log: &Log, next: Index, now: Time, farewell: Time) {
        let members = log.membership().members();
        for (id, progress) in &mut self.peers {
            if members.contains(id) {
                progress.departure = None;
            } else if progress.departure.is_none() {
                progress.departure =
                    Some(Departure { index: log.membership_index(), told_in: None, until: farewell });
            }
        }
        for id in members.into_iter().filter(|id| *id != me) {
            self.peers.entry(id).or_insert_with(|| Progress::new(next, now));
        }
    }

    /// The latest round that a majority has answered.
    pub fn confirmed_round(&self, me: NodeId, membership: &Membership) -> Round {
        let answered = |id| match self.peers.get(&id) {
            _ if id == me => self.round,
            Some(progress) => progress.round,
            None => Round::default(),
        };
        membership.reached(answered).unwrap_or_default()
    }

    pub fn is_ready(&self, log: &Log) -> bool {
        log.commit() >= self.noop
    }
}
