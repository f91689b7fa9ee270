//! The replicated state on this node: takes in what consensus has decided, and says what changed.

use crate::raft::{Entry, Index, Payload, Position, Snapshot};
use crate::state_machine::{Change, JobState, Outcome, Stamped, State, StateMachine};
use crate::time::Time;
use crate::wire::DecodeError;

/// One decided entry, applied.
#[derive(Debug)]
pub(super) struct Applied {
    pub position: Position,
    /// When its leader proposed it.
    pub at: Time,
    /// `None` for entries that are no commands.
    pub outcome: Option<Outcome>,
    pub changes: Vec<Change>,
}

/// This node cannot follow the log any further without leaving the common state.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplicaError {
    #[error("entry {index} of the log cannot be read: {source}")]
    Entry { index: Index, source: DecodeError },
    #[error("the snapshot at {index} cannot be read: {source}")]
    Snapshot { index: Index, source: DecodeError },
}

pub(super) fn apply(machine: &mut StateMachine, entry: &Entry) -> Result<Applied, ReplicaError> {
    let mut applied =
        Applied { position: entry.position(), at: Time::ZERO, outcome: None, changes: Vec::new() };
    if let Payload::Command(bytes) = &entry.payload {
        let stamped =
            Stamped::decode(bytes).map_err(|source| ReplicaError::Entry { index: entry.index, source })?;
        applied.at = stamped.at;
        applied.outcome = Some(machine.apply(stamped, &mut applied.changes));
    }
    Ok(applied)
}

/// Replaces the state by a snapshot's and says how the two differ.
pub(super) fn install(machine: &mut StateMachine, snapshot: &Snapshot) -> Result<Vec<Change>, ReplicaError> {
    let index = snapshot.meta.last.index;
    let restored =
        StateMachine::restore(&snapshot.data).map_err(|source| ReplicaError::Snapshot { index, source })?;
    let changes = difference(machine.state(), restored.state());
    *machine = restored;
    Ok(changes)
}

fn difference(before: &State, after: &State) -> Vec<Change> {
    let added = (after.documents.keys().filter(|id| !before.documents.contains_key(id)))
        .map(|id| Change::DocumentAdded(*id));
    let removed = (before.documents.keys().filter(|id| !after.documents.contains_key(id)))
        .map(|id| Change::DocumentRemoved(*id));
    let submitted =
        (after.jobs.keys().filter(|id| !before.jobs.contains_key(id))).map(|id| Change::JobSubmitted(*id));
    let runs = |state: &State, id| state.jobs.get(id).is_some_and(|job| job.state == JobState::Running);
    let started_or_known = before.jobs.keys().filter(|id| runs(before, id) && !runs(after, id));
    let ended_unseen = after.jobs.keys().filter(|id| !before.jobs.contains_key(id) && !runs(after, id));
    let ended = started_or_known.chain(ended_unseen).map(|id| Change::JobEnded(*id));
    let forgotten =
        (before.jobs.keys().filter(|id| !after.jobs.contains_key(id))).map(|id| Change::JobForgotten(*id));
    let nodes =
        before.members.keys().chain(after.members.keys().filter(|id| !before.members.contains_key(id)));
    let members = nodes
        .filter(|id| before.members.get(id) != after.members.get(id))
        .map(|id| Change::MemberChanged(*id));
    added.chain(removed).chain(submitted).chain(ended).chain(forgotten).chain(members).collect()
}
