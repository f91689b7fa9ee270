//! Leadership transfer (§3.10): the target catches up while proposals wait, then stands for election at once.

use super::leadership::Transfer;
use super::message::Message;
use super::mutation::Mutation;
use super::progress::Flow;
use super::{Raft, State, TransferError};
use crate::ids::NodeId;

impl Raft {
    fn check_transfer(&self, to: NodeId) -> Result<(), TransferError> {
        let State::Leader(leadership) = &self.state else {
            return Err(TransferError::NotLeader { leader: self.leader });
        };
        if leadership.transfer.is_some() {
            return Err(TransferError::Transferring);
        }
        if to == self.id {
            return Err(TransferError::ToSelf(to));
        }
        if !self.log.membership().voters.contains(&to) {
            return Err(TransferError::NotVoter(to));
        }
        Ok(())
    }

    pub(super) fn begin_transfer(&mut self, to: NodeId) -> Result<(), TransferError> {
        self.check_transfer(to)?;
        let State::Leader(leadership) = &mut self.state else { return Ok(()) };
        let timeouts = if self.config.broken(Mutation::TransferNeverEnds) { 1_000 } else { 1 };
        let until = self.now + self.config.election_timeout * timeouts;
        leadership.transfer = Some(Transfer { to, until });
        leadership.pump = true;
        if !self.config.broken(Mutation::LeaseOutlivesTransfer) {
            leadership.lease.end();
        }
        self.finish_transfer(to);
        Ok(())
    }

    /// In haste there is no time for another try: the target must answer, and everything must be on its way to it.
    pub(super) fn hurry_transfer(&mut self, to: NodeId) -> Result<(), TransferError> {
        self.check_transfer(to)?;
        self.pump();
        if !self.may_win(to) {
            return Err(TransferError::CannotWin(to));
        }
        self.begin_transfer(to)?;
        let State::Leader(leadership) = &self.state else { return Ok(()) };
        let matched = leadership.peers.get(&to).map(|progress| progress.matched);
        // Who holds the whole log has been told already.
        if matched != Some(self.log.last().index) {
            self.send(to, Message::TimeoutNow { term: self.hard_state.term });
        }
        Ok(())
    }

    fn may_win(&self, to: NodeId) -> bool {
        let State::Leader(leadership) = &self.state else { return false };
        leadership.peers.get(&to).is_some_and(|progress| {
            matches!(progress.flow, Flow::Replicate(_))
                && progress.next > self.log.last().index
                && self.now.since(progress.heard_at) < self.config.election_timeout
        })
    }

    /// Once the target holds the whole log, it may stand.
    pub(super) fn finish_transfer(&mut self, peer: NodeId) {
        let State::Leader(leadership) = &self.state else { return };
        let is_target = leadership.transfer.is_some_and(|transfer| transfer.to == peer);
        let matched = leadership.peers.get(&peer).map(|progress| progress.matched);
        if is_target && matched == Some(self.log.last().index) {
            self.send(peer, Message::TimeoutNow { term: self.hard_state.term });
        }
    }

    /// The word to stand may have been lost.
    pub(super) fn repeat_timeout_now(&mut self) {
        if let State::Leader(leadership) = &self.state
            && let Some(transfer) = leadership.transfer
        {
            self.finish_transfer(transfer.to);
        }
    }

    /// A target that does not take over stops proposals for one election timeout at most.
    pub(super) fn give_up_late_transfer(&mut self) {
        let now = self.now;
        if let State::Leader(leadership) = &mut self.state {
            leadership.transfer.take_if(|transfer| now >= transfer.until);
        }
    }

    pub(super) fn give_up_transfer_to(&mut self, peer: NodeId) {
        if let State::Leader(leadership) = &mut self.state {
            leadership.transfer.take_if(|transfer| transfer.to == peer);
        }
    }
}
