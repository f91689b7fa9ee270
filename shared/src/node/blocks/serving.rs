//! What a node gives to others and takes from them.

use super::{Blocks, Purpose, User};
use crate::ids::NodeId;
use crate::limits;
use crate::node::context::Context;
use crate::node::contract::{BlockError, BlockName, BlockOutcome, Ticket};
use crate::wire::peer::{BlockMessage, BlockRefusal, PeerMessage};
use crate::wire::session::Class;
use bytes::Bytes;

impl Blocks {
    /// `Put`, `Copy`, `Get` and the answers to this node's own `Get`s. Answers to puts and copies are not for here.
    pub fn message(&mut self, context: &mut Context<'_>, from: NodeId, message: BlockMessage, bulk: Bytes) {
        match message {
            BlockMessage::Put { ticket, hash, manifest } => {
                let purpose = Purpose::Take { from, ticket, manifest };
                self.take_put(context, BlockName::Content(hash), bulk, purpose);
            }
            BlockMessage::Copy { ticket, hash, manifest, sources } => {
                let name = BlockName::Content(hash);
                if self.fetches.is_full(name) {
                    self.refuse(context, from, ticket, BlockRefusal::Busy);
                } else {
                    let user = User::Peer { node: from, ticket, manifest };
                    self.fetch(context, name, &sources, user);
                }
            }
            BlockMessage::Get { ticket, name, offset, bytes_max } => {
                self.give(context, from, ticket, name, offset, bytes_max);
            }
            BlockMessage::Data { ticket, total } => {
                let step = self.fetches.data(context, from, ticket, total, &bulk);
                self.follow(context, step);
            }
            BlockMessage::Missing { ticket } => {
                let step = self.fetches.refused(context, from, ticket, true);
                self.follow(context, step);
            }
            BlockMessage::Refused { ticket, .. } => {
                let step = self.fetches.refused(context, from, ticket, false);
                self.follow(context, step);
            }
            BlockMessage::Stored { .. } | BlockMessage::Holdings { .. } | BlockMessage::Heard { .. } => {}
        }
    }

    fn take_put(&mut self, context: &mut Context<'_>, name: BlockName, bulk: Bytes, purpose: Purpose) {
        let Purpose::Take { from, ticket, manifest } = purpose else { return };
        if self.inventory.contains(name) {
            self.claim(context, name, manifest);
            self.tell(context, from, BlockMessage::Stored { ticket });
        } else if bulk.is_empty() || bulk.len() > limits::BLOCK_BYTES_MAX {
            self.refuse(context, from, ticket, BlockRefusal::Damaged);
        } else if self.is_busy(bulk.len() as u64) {
            self.refuse(context, from, ticket, BlockRefusal::Busy);
        } else {
            self.put(context, name, bulk, purpose);
        }
    }

    fn give(
        &mut self,
        context: &mut Context<'_>,
        to: NodeId,
        ticket: Ticket,
        name: BlockName,
        offset: u64,
        bytes_max: u32,
    ) {
        let bytes_max = bytes_max.min(limits::FETCH_BYTES as u32);
        if !self.inventory.contains(name) {
            self.tell(context, to, BlockMessage::Missing { ticket });
        } else if self.is_busy(bytes_max.into()) {
            self.refuse(context, to, ticket, BlockRefusal::Busy);
        } else {
            self.inventory.touch(name, context.now);
            self.get(context, name, offset, bytes_max, Purpose::Give { to, ticket });
        }
    }

    pub(super) fn given(
        &mut self,
        context: &mut Context<'_>,
        name: BlockName,
        to: NodeId,
        ticket: Ticket,
        result: Result<BlockOutcome, BlockError>,
    ) {
        match result {
            Ok(BlockOutcome::Data { bytes, total }) => {
                let data = PeerMessage::Block(BlockMessage::Data { ticket, total });
                context.send(to, &data, Class::Bulk, bytes);
            }
            Ok(_) => {}
            Err(error) => {
                if matches!(error, BlockError::Missing | BlockError::Damaged) {
                    self.note_lost(context, name);
                }
                self.tell(context, to, BlockMessage::Missing { ticket });
            }
        }
    }

    pub(super) fn tell(&self, context: &mut Context<'_>, to: NodeId, message: BlockMessage) {
        if to != context.me {
            context.control(to, &PeerMessage::Block(message));
        }
    }

    pub(super) fn refuse(
        &self,
        context: &mut Context<'_>,
        to: NodeId,
        ticket: Ticket,
        refusal: BlockRefusal,
    ) {
        self.tell(context, to, BlockMessage::Refused { ticket, refusal });
    }

    /// Peers may keep this store only so busy.
    fn is_busy(&self, more_bytes: u64) -> bool {
        self.served_bytes + more_bytes > limits::SERVED_BYTES_MAX
            || self.operations.len() >= limits::STORE_OPERATIONS_MAX
    }
}
