//! What goes wrong with uploads, in words for the person at the other end.

use crate::ids::UploadId;
use crate::limits;
use crate::node::api::{ErrorCode, RequestError};

fn refusal(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> RequestError {
    RequestError { code, message: message.into(), hint: hint.into() }
}

pub(super) fn name_too_long() -> RequestError {
    let max = limits::DOCUMENT_NAME_BYTES_MAX;
    refusal(ErrorCode::TooLarge, format!("a document's name has at most {max} bytes"), "shorten the name")
}

pub(super) fn too_many_uploads() -> RequestError {
    let max = limits::UPLOADS_MAX;
    refusal(
        ErrorCode::Busy,
        format!("this node takes in {max} texts at a time"),
        "try again in a moment, or use another node",
    )
}

pub(super) fn busy() -> RequestError {
    refusal(
        ErrorCode::Busy,
        "too many chunks wait for their holders on this node",
        "try again in a moment, or use another node",
    )
}

pub(super) fn no_member() -> RequestError {
    refusal(
        ErrorCode::NotReady,
        "this node is not a member of the cluster yet",
        "try again in a moment: it joins as soon as a leader sees it",
    )
}

pub(super) fn no_upload(upload: UploadId) -> RequestError {
    refusal(
        ErrorCode::NotFound,
        format!("there is no upload {upload} on this node"),
        "an upload ends when nobody feeds it for two minutes, or with its node: start again",
    )
}

pub(super) fn chunk_size(bytes: usize) -> RequestError {
    let max = limits::CHUNK_BYTES_MAX;
    let message = format!("a chunk has 1 to {max} bytes, this one {bytes}");
    refusal(ErrorCode::TooLarge, message, "cut the text into smaller chunks")
}

pub(super) fn too_many_chunks() -> RequestError {
    let max = limits::DOCUMENT_CHUNKS_MAX;
    refusal(
        ErrorCode::TooLarge,
        format!("a document has at most {max} chunks"),
        "split the text into several documents and count them in one job",
    )
}

pub(super) fn other_chunk(position: u32) -> RequestError {
    let message = format!("chunk {position} was sent before with other bytes");
    refusal(ErrorCode::Conflict, message, "start a new upload")
}

pub(super) fn out_of_window(position: u32) -> RequestError {
    let max = limits::UPLOAD_WINDOW_CHUNKS;
    let message = format!("chunk {position} comes too early, or after the upload was finished");
    refusal(ErrorCode::Conflict, message, format!("keep at most {max} chunks unanswered"))
}

pub(super) fn chunk_missing(position: u32) -> RequestError {
    let message = format!("chunk {position} is not stored yet");
    refusal(ErrorCode::Conflict, message, "send it and wait for its answer, then finish")
}

pub(super) fn chunk_lost(position: usize) -> RequestError {
    let message = format!("all members that held chunk {position} are gone");
    refusal(ErrorCode::Conflict, message, "wait for them to come back, or send the text again")
}

pub(super) fn wrong_hash(position: u32) -> RequestError {
    let message = format!("the bytes of chunk {position} do not have the hash that came with them");
    refusal(ErrorCode::BadRequest, message, "send the chunk again with its BLAKE3 hash")
}

pub(super) fn full() -> RequestError {
    refusal(
        ErrorCode::StorageFull,
        "too few members that are online have room for the text",
        "delete documents, or add a machine",
    )
}

pub(super) fn no_holders() -> RequestError {
    refusal(
        ErrorCode::Timeout,
        "too few members answered to store a chunk durably",
        "send the chunk again when the cluster is whole",
    )
}

pub(super) fn aborted() -> RequestError {
    refusal(ErrorCode::Conflict, "the upload was aborted", "start a new one")
}

pub(super) fn name_taken() -> RequestError {
    let message = "another member has added a document under the id of this upload";
    refusal(ErrorCode::Conflict, message, "start a new upload")
}

pub(super) fn idle() -> RequestError {
    refusal(ErrorCode::Timeout, "the upload took too long", "start again, and send the chunks without pauses")
}
