//! A node that may be gone any moment (its tab is closed or frozen, its process is told to stop) gives leadership away
//! while it still can: that costs the cluster one election and no wait.

use super::consensus::Consensus;
use super::context::Surroundings;
use crate::ids::NodeId;
use crate::raft::{Message, PeerState, Status};
use crate::wire::session::Kind;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Tells the best successor that can win to stand for election at once, behind the entries that are on their way to it.
/// False if nobody can take over: then it is tried again as long as this node is there.
pub(super) fn hand_over(around: &Surroundings, consensus: &mut Consensus) -> bool {
    let status = consensus.raft.status();
    let mut successors = successors(around, &status).into_iter();
    status.transferring.is_some()
        || successors.any(|to| consensus.raft.transfer_in_haste(around.now, to).is_ok())
}

/// The voters that answer and have all that is committed: a server before a tab that is seen before a hidden one, and
/// among equals the one that has most.
pub(super) fn successors(around: &Surroundings, status: &Status) -> Vec<NodeId> {
    let voters = status.membership.voters.iter().filter(|voter| around.is_online(**voter));
    let fit = voters.filter_map(|voter| {
        let peer = status.peers.get(voter)?;
        let is_up_to_date = peer.state == PeerState::Replicate && peer.matched >= status.commit;
        (peer.active && is_up_to_date).then(|| {
            let profile = around.profile_of(*voter);
            let is_tab = profile.is_none_or(|profile| profile.kind == Kind::Tab);
            let is_hidden = profile.is_some_and(|profile| profile.hidden);
            (is_tab, is_hidden, Reverse(peer.matched), *voter)
        })
    });
    let ranked: BTreeSet<_> = fit.collect();
    ranked.into_iter().map(|(_, _, _, voter)| voter).collect()
}

/// Leadership that comes to a node that is about to go would only move on, or back.
pub(super) fn refuses(around: &Surroundings, message: &Message) -> bool {
    around.leaving && matches!(message, Message::TimeoutNow { .. })
}
