//! The cluster that a node belongs to: given by the relay on the first admission, kept for ever.

use super::consensus::Consensus;
use super::context::Surroundings;
use super::contract::{PersistSequence, Ready, RelayNotice};
use crate::ids::ClusterId;
use crate::raft;
use crate::wire::session::Welcome;

#[derive(Debug)]
pub(super) struct Founding {
    cluster: Option<ClusterId>,
    /// The relay has said so since this node started: the room is this cluster's. A founder that is cut off before may find
    /// the room founded by another, so no change is acknowledged before: what people were told was done would be lost.
    confirmed: bool,
    /// Tell the relay that the room is founded, once this is durable.
    announce_after: Option<PersistSequence>,
}

/// The relay admitted this node to a cluster that is not its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node's data belongs to cluster {ours}, the room to cluster {theirs}")]
pub(super) struct OtherCluster {
    pub ours: ClusterId,
    pub theirs: ClusterId,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FoundingError {
    #[error(transparent)]
    OtherCluster(#[from] OtherCluster),
    #[error(transparent)]
    Raft(#[from] raft::NewError),
}

impl Founding {
    pub fn new(cluster: Option<ClusterId>) -> Founding {
        Founding { cluster, confirmed: false, announce_after: None }
    }

    pub fn cluster(&self) -> Option<ClusterId> {
        self.cluster
    }

    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    pub fn welcome(
        &mut self,
        welcome: &Welcome,
        around: &mut Surroundings,
        consensus: &mut Consensus,
        ready: &mut Ready,
    ) -> Result<(), FoundingError> {
        match self.cluster {
            Some(ours) if ours != welcome.cluster => {
                return Err(OtherCluster { ours, theirs: welcome.cluster }.into());
            }
            Some(_) => {}
            None => {
                consensus.adopt_cluster(welcome.cluster, ready);
                if welcome.founder {
                    let rng = around.rng.fork();
                    consensus.found(around.me, &around.config.raft, rng, around.now, ready)?;
                }
                self.cluster = Some(welcome.cluster);
            }
        }
        if welcome.founder {
            self.announce_after = Some(consensus.last_persist());
        } else {
            self.confirmed = true;
        }
        Ok(())
    }

    /// The relay has recorded what [`Founding::announce`] told it.
    pub fn recorded(&mut self) {
        self.confirmed = true;
    }

    /// A room that is founded before its cluster is durable could be lost by a crash, with everybody who joined it.
    pub fn announce(&mut self, consensus: &Consensus, ready: &mut Ready) {
        if self.announce_after.is_some_and(|sequence| consensus.is_durable(sequence)) {
            self.announce_after = None;
            ready.to_relay.push(RelayNotice::Founded);
        }
    }

    pub fn disconnected(&mut self) {
        self.announce_after = None;
    }
}
