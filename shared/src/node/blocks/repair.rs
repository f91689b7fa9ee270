//! As the leader: makes copies of what too few members hold.

use super::holdings::{self, HolderMap};
use super::{Blocks, User, placement};
use crate::ids::{Hash, NodeId};
use crate::limits;
use crate::node::context::Context;
use crate::node::contract::{BlockName, Ticket};
use crate::raft::Membership;
use crate::time::{Duration, Time};
use crate::wire::peer::{BlockMessage, BlockRefusal, Manifest, PeerMessage};
use placement::Place;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A member that is gone for a moment comes back with its blocks.
const GRACE: Duration = Duration::from_secs(2);

/// What could not be repaired is tried again after so long.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// A member that was late gets no more orders for so long: others do not wait behind it, and what is tried again goes
/// elsewhere.
const UNFIT_FOR: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(in crate::node) struct Repair {
    due: Option<Time>,
    scope: Scope,
    queue: VecDeque<Wanting>,
    orders: BTreeMap<Ticket, Order>,
    /// Who was late, and until when that counts.
    unfit: BTreeMap<NodeId, Time>,
    /// Some copies were refused or are late.
    again: bool,
    /// Who voted when it was looked last, in both halves of the configuration.
    voters: [BTreeSet<NodeId>; 2],
}

/// Where to look.
#[derive(Debug)]
enum Scope {
    Everywhere,
    These(BTreeSet<Manifest>),
}

impl Default for Scope {
    fn default() -> Scope {
        Scope::These(BTreeSet::new())
    }
}

#[derive(Clone, Copy, Debug)]
struct Wanting {
    manifest: Manifest,
    index: u32,
    hash: Hash,
}

#[derive(Clone, Copy, Debug)]
struct Order {
    wanting: Wanting,
    to: NodeId,
    until: Time,
}

impl Repair {
    /// Members changed: any block may have too few holders.
    pub fn look_everywhere(&mut self, now: Time) {
        self.scope = Scope::Everywhere;
        self.due.get_or_insert(now + GRACE);
    }

    /// A manifest is new, or its holders are others.
    pub fn look_at(&mut self, manifest: Manifest, now: Time) {
        if let Scope::These(manifests) = &mut self.scope {
            manifests.insert(manifest);
        }
        self.due.get_or_insert(now + GRACE);
    }

    pub fn tick(&mut self, context: &mut Context<'_>, blocks: &mut Blocks, map: &mut HolderMap) {
        self.drop_late(context);
        self.notice_voters(context);
        if !self.queue.is_empty() {
            self.order(context, blocks, map);
        }
        let is_due = self.due.is_some_and(|due| due <= context.now);
        if is_due && self.queue.is_empty() {
            self.due = None;
            self.look(context, map);
            self.order(context, blocks, map);
        }
        if self.again && self.queue.is_empty() && self.orders.is_empty() {
            self.again = false;
            self.scope = Scope::Everywhere;
            self.due.get_or_insert(context.now + RETRY_DELAY);
        }
    }

    /// Copies on members that vote no more are worth less.
    fn notice_voters(&mut self, context: &Context<'_>) {
        let Membership { voters, outgoing, .. } = context.membership;
        if [voters, outgoing] != self.voters.each_ref() {
            self.voters = [voters.clone(), outgoing.clone()];
            self.look_everywhere(context.now);
        }
    }

    fn drop_late(&mut self, context: &Context<'_>) {
        let now = context.now;
        if self.unfit.extract_if(.., |_, until| *until <= now).count() > 0 {
            self.look_everywhere(now);
        }
        let is_lost = |_: &Ticket, order: &mut Order| order.until <= now || !context.is_online(order.to);
        for (_, order) in self.orders.extract_if(.., is_lost) {
            self.again = true;
            if order.until <= now {
                self.unfit.insert(order.to, now + UNFIT_FOR);
            }
        }
    }

    fn look(&mut self, context: &Context<'_>, map: &HolderMap) {
        let (places, copies) = (placement::places(context), placement::copies(context));
        let manifests: Vec<Manifest> = match std::mem::take(&mut self.scope) {
            Scope::Everywhere => holdings::manifests(context.state).collect(),
            Scope::These(manifests) => manifests.into_iter().collect(),
        };
        for manifest in manifests.into_iter().filter(|manifest| !matches!(manifest, Manifest::Partials(_))) {
            let names = holdings::blocks_of(context.state, manifest, context.config.task_bytes);
            for (index, name) in (0..).zip(names) {
                let BlockName::Content(hash) = name else { continue };
                let holding = online_holders(&places, map, manifest, index);
                if holding.is_empty() || placement::is_enough(&places, &holding, copies) {
                    continue;
                }
                if self.queue.len() >= limits::REPAIRS_QUEUED_MAX {
                    self.again = true;
                    return;
                }
                self.queue.push_back(Wanting { manifest, index, hash });
            }
        }
    }

    fn order(&mut self, context: &mut Context<'_>, blocks: &mut Blocks, map: &HolderMap) {
        let (places, copies) = (placement::places(context), placement::copies(context));
        while self.orders.len() < limits::REPAIRS_IN_FLIGHT_MAX
            && let Some(wanting) = self.queue.pop_front()
        {
            let Wanting { manifest, index, hash } = wanting;
            let sources = online_holders(&places, map, manifest, index);
            if sources.is_empty() {
                continue;
            }
            let mut fit = places.clone();
            fit.retain(|place| sources.contains(&place.node) || !self.unfit.contains_key(&place.node));
            for to in placement::choose(hash, &fit, &sources, copies) {
                let ticket = context.tickets.next();
                self.orders.insert(ticket, Order { wanting, to, until: context.now + limits::COPY_TIMEOUT });
                if to == context.me {
                    blocks.fetch(context, BlockName::Content(hash), &sources, User::Keeper(ticket));
                } else {
                    let copy = BlockMessage::Copy { ticket, hash, manifest, sources: sources.clone() };
                    context.control(to, &PeerMessage::Block(copy));
                }
            }
        }
    }

    /// A member answered to an order; of no interest unless it came from here.
    pub fn answered(
        &mut self,
        from: NodeId,
        ticket: Ticket,
        result: &Result<(), BlockRefusal>,
        map: &mut HolderMap,
    ) {
        let Some(order) = self.orders.get(&ticket).copied().filter(|order| order.to == from) else { return };
        self.orders.remove(&ticket);
        match result {
            Ok(()) => map.add(from, order.wanting.manifest, order.wanting.index),
            Err(_) => self.again = true,
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        let due = self.due.filter(|_| self.queue.is_empty());
        self.orders.values().map(|order| order.until).chain(self.unfit.values().copied()).chain(due).min()
    }
}

fn online_holders(places: &[Place], map: &HolderMap, manifest: Manifest, index: u32) -> Vec<NodeId> {
    map.holders(manifest, index).filter(|node| places.iter().any(|place| place.node == *node)).collect()
}
