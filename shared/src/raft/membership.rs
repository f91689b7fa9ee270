//! Configurations of the cluster and how one follows another (§4).

use super::quorum;
use crate::ids::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A configuration. It is *joint* while `outgoing` is not empty: then every decision needs a majority of `voters` and
/// one of `outgoing` (§4.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Membership {
    /// Who votes; in a joint configuration, who will.
    pub voters: BTreeSet<NodeId>,
    /// Who voted before, while the change is under way.
    pub outgoing: BTreeSet<NodeId>,
    /// Who gets the log without a say (§4.2.1).
    pub learners: BTreeSet<NodeId>,
    /// Outgoing voters that become learners when the joint configuration is left.
    pub learners_next: BTreeSet<NodeId>,
}

/// The configuration that is wanted: the whole of it, reached in one atomic change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipChange {
    pub voters: BTreeSet<NodeId>,
    pub learners: BTreeSet<NodeId>,
}

/// Why a wanted configuration is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    #[error("a cluster needs a voter")]
    NoVoters,
    #[error("{0:?} cannot be voter and learner at once")]
    VoterAndLearner(NodeId),
    #[error("more than {max} members")]
    TooMany { max: usize },
    #[error("this is the configuration already")]
    Unchanged,
}

impl Membership {
    pub fn of_voters(voters: impl IntoIterator<Item = NodeId>) -> Membership {
        Membership { voters: voters.into_iter().collect(), ..Membership::default() }
    }

    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// A voter of either half.
    pub fn is_voter(&self, id: NodeId) -> bool {
        self.voters.contains(&id) || self.outgoing.contains(&id)
    }

    pub fn is_learner(&self, id: NodeId) -> bool {
        self.learners.contains(&id)
    }

    pub fn contains(&self, id: NodeId) -> bool {
        self.is_voter(id) || self.is_learner(id)
    }

    /// Everybody, each once, in order.
    pub fn members(&self) -> BTreeSet<NodeId> {
        self.voters.iter().chain(&self.outgoing).chain(&self.learners).copied().collect()
    }

    /// Everybody who may vote, each once, in order.
    pub fn all_voters(&self) -> BTreeSet<NodeId> {
        self.voters.union(&self.outgoing).copied().collect()
    }

    /// The configuration that begins the way from here to `change`: joint if more than one voter comes or goes.
    pub fn enter(&self, change: &MembershipChange) -> Result<Membership, MembershipError> {
        change.check()?;
        let moving = self.voters.symmetric_difference(&change.voters).count();
        if moving == 0 && self.learners == change.learners {
            return Err(MembershipError::Unchanged);
        }
        let wanted = Membership {
            voters: change.voters.clone(),
            learners: change.learners.clone(),
            ..Membership::default()
        };
        if moving <= 1 {
            return Ok(wanted);
        }
        let (learners_next, learners) =
            wanted.learners.into_iter().partition(|learner| self.voters.contains(learner));
        Ok(Membership { voters: wanted.voters, outgoing: self.voters.clone(), learners, learners_next })
    }

    /// The configuration that ends a joint one.
    pub fn leave(&self) -> Membership {
        Membership {
            voters: self.voters.clone(),
            learners: self.learners.union(&self.learners_next).copied().collect(),
            ..Membership::default()
        }
    }

    /// What a peer or a disk sent must be a configuration that [`Membership::enter`] or [`Membership::leave`] could make.
    pub(super) fn check(&self) -> Result<(), MembershipError> {
        let Membership { voters, learners, .. } = self.leave();
        MembershipChange { voters, learners }.check()?;
        if let Some(id) = self.learners.iter().find(|id| self.outgoing.contains(id)) {
            return Err(MembershipError::VoterAndLearner(*id));
        }
        let misplaced = |id: &&NodeId| !self.outgoing.contains(id) || self.voters.contains(id);
        if let Some(id) = self.learners_next.iter().find(misplaced) {
            return Err(MembershipError::VoterAndLearner(*id));
        }
        if self.outgoing.len() > super::config::MEMBERS_MAX {
            return Err(MembershipError::TooMany { max: super::config::MEMBERS_MAX });
        }
        Ok(())
    }

    /// The highest value that a majority of each half has reached; nothing without voters.
    pub(super) fn reached<T: Ord + Copy>(&self, value_of: impl Fn(NodeId) -> T) -> Option<T> {
        let voters = quorum::reached(&self.voters, &value_of)?;
        match quorum::reached(&self.outgoing, &value_of) {
            Some(outgoing) => Some(voters.min(outgoing)),
            None => Some(voters),
        }
    }

    /// What the votes given so far decide.
    pub(super) fn tally(&self, vote_of: impl Fn(NodeId) -> Option<bool>) -> quorum::Tally {
        let voters = quorum::tally(&self.voters, &vote_of);
        if self.outgoing.is_empty() {
            return voters;
        }
        voters.and(quorum::tally(&self.outgoing, &vote_of))
    }

    pub(super) fn size(&self) -> usize {
        let members =
            self.voters.len() + self.outgoing.len() + self.learners.len() + self.learners_next.len();
        members * size_of::<NodeId>() + 4
    }
}

impl MembershipChange {
    fn check(&self) -> Result<(), MembershipError> {
        if self.voters.is_empty() {
            return Err(MembershipError::NoVoters);
        }
        if let Some(id) = self.voters.intersection(&self.learners).next() {
            return Err(MembershipError::VoterAndLearner(*id));
        }
        if self.voters.len() + self.learners.len() > super::config::MEMBERS_MAX {
            return Err(MembershipError::TooMany { max: super::config::MEMBERS_MAX });
        }
        Ok(())
    }
}
