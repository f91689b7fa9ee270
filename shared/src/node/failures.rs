//! What a client is told when a request fails: what happened, whether it may still happen, and what to do.

use super::api::{ErrorCode, RequestError, TroubleCode};
use super::context::Surroundings;
use crate::ids::{DocumentId, JobId, NodeId};
use crate::limits;
use crate::state_machine::{Rejection, Version};

const MAY_HAPPEN: &str = " The change may still happen.";

fn failure(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> RequestError {
    RequestError { code, message: message.into(), hint: hint.into() }
}

/// A question to the cluster found no answer in time, for the reason that everybody is shown.
fn out_of_time(around: &Surroundings, fate: &str) -> RequestError {
    let Some(trouble) = &around.trouble else {
        let message = format!("The cluster did not answer in time.{fate}");
        return failure(
            ErrorCode::Timeout,
            message,
            "try again; `wordraft status` shows how the members are doing",
        );
    };
    let code = match trouble.code() {
        TroubleCode::NotConnected
        | TroubleCode::Refused
        | TroubleCode::NotLetIn
        | TroubleCode::Installing
        | TroubleCode::CatchingUp => ErrorCode::NotReady,
        TroubleCode::NoMajority | TroubleCode::Mute | TroubleCode::NoTermLeft | TroubleCode::Electing => {
            ErrorCode::NoQuorum
        }
        TroubleCode::TurnedAway => ErrorCode::Busy,
        TroubleCode::StatesDiffer
        | TroubleCode::DiskStalled
        | TroubleCode::HandingOver
        | TroubleCode::NotCommitting => ErrorCode::Timeout,
    };
    failure(code, format!("{trouble}{fate}"), trouble.remedy())
}

/// Of a change that was handed on it must not look as if it had failed.
pub(super) fn write_out_of_time(around: &Surroundings, handed_on: bool) -> RequestError {
    if !handed_on {
        return out_of_time(around, " Nothing was changed.");
    }
    let error = out_of_time(around, MAY_HAPPEN);
    let code = if error.code == ErrorCode::Timeout { error.code } else { ErrorCode::UnknownOutcome };
    RequestError { code, ..error }
}

pub(super) fn read_out_of_time(around: &Surroundings) -> RequestError {
    out_of_time(around, "")
}

pub(super) fn rejected(rejection: Rejection) -> RequestError {
    let message = rejection.to_string();
    match rejection {
        Rejection::NoDocument(_) => {
            failure(ErrorCode::NotFound, message, "`wordraft documents ls` shows what there is")
        }
        Rejection::NoJob(_) => {
            failure(ErrorCode::NotFound, message, "`wordraft jobs ls` shows what there is")
        }
        Rejection::OtherRequest => failure(ErrorCode::Reused, message, "choose a new key for a new request"),
        Rejection::DocumentInUse { .. } => {
            failure(ErrorCode::Conflict, message, "cancel the job, or wait until it is done")
        }
        Rejection::TooManyDocuments { .. } => {
            failure(ErrorCode::Conflict, message, "delete documents that are not needed any more")
        }
        Rejection::TooManyJobs { .. } => {
            failure(ErrorCode::Busy, message, "wait until some are done, or cancel one")
        }
        Rejection::StateFull { .. } => {
            failure(ErrorCode::Conflict, message, "delete documents and keys that are not needed any more")
        }
        Rejection::NoKey => failure(ErrorCode::NotFound, message, "`wordraft kv ls` shows what there is"),
        Rejection::KeyConflict { .. } => {
            failure(ErrorCode::Conflict, message, "read the key again, and change what it holds now")
        }
        Rejection::TooManyKeys { .. } => {
            failure(ErrorCode::Conflict, message, "delete keys that are not needed any more")
        }
        Rejection::ValueTooLarge { .. } => {
            failure(ErrorCode::TooLarge, message, "store it as a document, or in several keys")
        }
        Rejection::NoSession | Rejection::OutOfSequence => failure(
            ErrorCode::UnknownOutcome,
            format!("{message}; the change may have happened"),
            "read the key",
        ),
        Rejection::Invalid(_) => failure(ErrorCode::BadRequest, message, "change the request"),
    }
}

pub(super) fn not_a_member() -> RequestError {
    failure(
        ErrorCode::NotReady,
        "this node is not part of a cluster yet",
        "wait until it has joined, or ask another node",
    )
}

pub(super) fn no_such_version(asked: Version, latest: Version) -> RequestError {
    failure(
        ErrorCode::Conflict,
        format!("there is no change {asked} of keys here: the latest is {latest}"),
        "list the keys, and watch on after the version of the list",
    )
}

pub(super) fn no_document(id: DocumentId) -> RequestError {
    rejected(Rejection::NoDocument(id))
}

pub(super) fn no_job(id: JobId) -> RequestError {
    rejected(Rejection::NoJob(id))
}

pub(super) fn too_many_waiting() -> RequestError {
    failure(
        ErrorCode::Busy,
        format!("{} requests wait on this node already", limits::REQUESTS_WAITING_MAX),
        "try again in a moment, or ask another node",
    )
}

pub(super) fn too_much_waiting() -> RequestError {
    failure(
        ErrorCode::Busy,
        format!("{} bytes of values wait on this node already", limits::REQUESTS_BYTES_MAX),
        "try again in a moment, or ask another node",
    )
}

pub(super) fn command_too_large() -> RequestError {
    failure(
        ErrorCode::TooLarge,
        format!("the request is larger than {} bytes in the log", limits::COMMAND_BYTES_MAX),
        "split it into smaller ones",
    )
}

pub(super) fn not_a_voter(node: NodeId) -> RequestError {
    failure(
        ErrorCode::BadRequest,
        format!("{node} is not a voter of this cluster"),
        "choose one of the voters that `wordraft status` shows",
    )
}

pub(super) fn voter_offline(node: NodeId) -> RequestError {
    failure(ErrorCode::Conflict, format!("{node} is not online"), "choose a voter that is")
}

pub(super) fn no_other_voter() -> RequestError {
    failure(
        ErrorCode::Conflict,
        "there is no other voter online to lead",
        "start more nodes: from three on, they all get a vote",
    )
}

pub(super) fn no_member(node: NodeId) -> RequestError {
    failure(
        ErrorCode::NotFound,
        format!("{node} is not a member of this cluster"),
        "`wordraft members ls` shows who is",
    )
}

pub(super) fn still_online(node: NodeId) -> RequestError {
    failure(
        ErrorCode::Conflict,
        format!("{node} is online: it would join again at once"),
        "stop that node first",
    )
}

pub(super) fn move_out_of_time(around: &Surroundings) -> RequestError {
    out_of_time(around, MAY_HAPPEN)
}

pub(super) fn removal_out_of_time(around: &Surroundings, node: NodeId) -> RequestError {
    if around.membership.voters.contains(&node) {
        return failure(
            ErrorCode::Conflict,
            format!("without {node} too few voters would be left"),
            "start another node: it takes over the vote, then remove this one",
        );
    }
    move_out_of_time(around)
}
