//! A finished table goes to other members before anybody hears of it.

use crate::ids::{JobId, NodeId};
use crate::limits;
use crate::node::blocks::placement;
use crate::node::compute::TaskOutput;
use crate::node::context::Context;
use crate::node::contract::Ticket;
use crate::state_machine::BlockRef;
use crate::time::{Duration, Time};
use crate::wire::peer::{BlockMessage, BlockRefusal, Manifest, PeerMessage};
use crate::words::Summary;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Debug)]
pub(super) struct Replication {
    job: JobId,
    summary: Box<Summary>,
    table: Vec<BlockRef>,
    /// Blocks that lack copies, by their place in the table.
    queue: VecDeque<usize>,
    holders: Vec<Vec<NodeId>>,
    asked: BTreeMap<Ticket, Asked>,
    /// Members that did not take a copy. The leader's repair may have more luck with them later.
    unfit: BTreeSet<NodeId>,
    /// Blocks that too few hold, and nobody is there to take more; they are tried again at this time.
    short: Vec<usize>,
    retry_at: Option<Time>,
}

/// Members come back, and make room.
const RETRY_DELAY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Asked {
    block: usize,
    node: NodeId,
    until: Time,
}

impl Replication {
    /// This node holds the whole table.
    pub fn new(
        context: &Context<'_>,
        job: JobId,
        summary: Box<Summary>,
        table: Vec<BlockRef>,
    ) -> Replication {
        let queue = (0..table.len()).collect();
        let holders = vec![vec![context.me]; table.len()];
        Replication {
            job,
            summary,
            table,
            queue,
            holders,
            asked: BTreeMap::new(),
            unfit: BTreeSet::new(),
            short: Vec::new(),
            retry_at: None,
        }
    }

    pub fn pump(&mut self, context: &mut Context<'_>) {
        let (all, copies) = (placement::places(context), placement::copies(context));
        while self.asked.len() < limits::TABLE_COPIES_IN_FLIGHT_MAX
            && let Some(block) = self.queue.pop_front()
        {
            let (hash, manifest) = (self.table[block].hash, Manifest::Table(self.job));
            let under_way = self.asked.values().filter(|asked| asked.block == block).map(|asked| asked.node);
            let holding: Vec<NodeId> = self.holders[block].iter().copied().chain(under_way).collect();
            let mut places = all.clone();
            places.retain(|place| holding.contains(&place.node) || !self.unfit.contains(&place.node));
            let more = placement::choose(hash, &places, &holding, copies);
            let with =
                places.iter().filter(|place| holding.contains(&place.node) || more.contains(&place.node));
            if holding.len() + more.len() < copies.min || copies.voters_missing(with) != [0, 0] {
                self.short.push(block);
                self.retry_at.get_or_insert(context.now + RETRY_DELAY);
            }
            for node in more {
                let ticket = context.tickets.next();
                self.asked.insert(ticket, Asked { block, node, until: context.now + limits::COPY_TIMEOUT });
                let copy = BlockMessage::Copy { ticket, hash, manifest, sources: vec![context.me] };
                context.control(node, &PeerMessage::Block(copy));
            }
        }
    }

    /// Whether the answer was for here.
    pub fn answered(&mut self, from: NodeId, ticket: Ticket, result: &Result<(), BlockRefusal>) -> bool {
        let Some(asked) = self.asked.get(&ticket).copied().filter(|asked| asked.node == from) else {
            return false;
        };
        self.asked.remove(&ticket);
        match result {
            Ok(()) => self.holders[asked.block].push(from),
            Err(_) => self.leave_out(asked),
        }
        true
    }

    fn leave_out(&mut self, asked: Asked) {
        self.unfit.insert(asked.node);
        self.queue.push_back(asked.block);
    }

    /// Whether there is anything to do again: something was late, or lost with a member, or is tried once more.
    pub fn expire(&mut self, context: &Context<'_>) -> bool {
        let is_retry = self.retry_at.is_some_and(|at| at <= context.now);
        if is_retry {
            self.retry_at = None;
            self.unfit.clear();
            self.queue.extend(self.short.drain(..));
        }
        let is_lost = |asked: &Asked| asked.until <= context.now || !context.is_online(asked.node);
        let lost: Vec<(Ticket, Asked)> = (self.asked.iter())
            .filter(|(_, asked)| is_lost(asked))
            .map(|(ticket, asked)| (*ticket, *asked))
            .collect();
        for (ticket, asked) in &lost {
            self.asked.remove(ticket);
            self.leave_out(*asked);
        }
        is_retry || !lost.is_empty()
    }

    pub fn deadline(&self) -> Option<Time> {
        self.asked.values().map(|asked| asked.until).chain(self.retry_at).min()
    }

    /// The result, once every block has all the copies that can be had.
    pub fn take_output(&mut self) -> Option<TaskOutput> {
        let done = self.queue.is_empty() && self.asked.is_empty() && self.short.is_empty();
        done.then(|| TaskOutput::Reduced {
            summary: std::mem::take(&mut self.summary),
            table: std::mem::take(&mut self.table),
        })
    }
}
