//! The consensus core behind as few exported functions as it takes to drive it, messages decoded and encoded, so that
//! nothing of it is left out of the module.
#![allow(unsafe_code, reason = "names that a module exports are unsafe to choose")]

use bytes::Bytes;
use shared::ids::NodeId;
use shared::raft::{Config, Index, MembershipChange, Message, Output, Raft, ReadToken, Stored};
use shared::rng::Rng;
use shared::time::Time;
use shared::{limits, wire};
use std::cell::RefCell;

thread_local! {
    static RAFT: RefCell<Option<Raft>> = const { RefCell::new(None) };
    /// What the host writes before a call and reads after it.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn id(number: u32) -> NodeId {
    NodeId::from_bytes([number as u8; 10])
}

fn with<T: Default>(work: impl FnOnce(&mut Raft) -> T) -> T {
    RAFT.with_borrow_mut(|raft| raft.as_mut().map(work).unwrap_or_default())
}

fn decoded<T: serde::de::DeserializeOwned>() -> Option<T> {
    let bytes = Bytes::from(BUFFER.take());
    wire::decode_in_place(wire::PEER_VERSION, bytes, limits::FRAME_HEAD_BYTES_MAX).ok()
}

fn give(bytes: Vec<u8>) -> usize {
    let length = bytes.len();
    BUFFER.set(bytes);
    length
}

#[unsafe(no_mangle)]
pub extern "C" fn buffer(length: usize) -> *mut u8 {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(length, 0);
        buffer.as_mut_ptr()
    })
}

/// The buffer holds what the disk held.
#[unsafe(no_mangle)]
pub extern "C" fn init(me: u32, seed: u64, now: u64) -> bool {
    let Some(stored) = decoded::<Stored>() else { return false };
    let raft = Raft::new(id(me), Config::default(), stored, Rng::from_u64(seed), Time::from_micros(now)).ok();
    let is_fine = raft.is_some();
    RAFT.set(raft);
    is_fine
}

/// The buffer holds a message.
#[unsafe(no_mangle)]
pub extern "C" fn step(now: u64, from: u32) -> bool {
    let Some(message) = decoded::<Message>() else { return false };
    with(|raft| raft.step(Time::from_micros(now), id(from), message).is_ok())
}

#[unsafe(no_mangle)]
pub extern "C" fn tick(now: u64) -> u64 {
    with(|raft| {
        raft.tick(Time::from_micros(now));
        raft.deadline().map_or(u64::MAX, Time::as_micros)
    })
}

/// The buffer holds a command. Zero is no index.
#[unsafe(no_mangle)]
pub extern "C" fn propose(now: u64) -> u64 {
    let command = Bytes::from(BUFFER.take());
    with(|raft| raft.propose(Time::from_micros(now), [command]).map_or(0, |entries| entries[0].index.get()))
}

#[unsafe(no_mangle)]
pub extern "C" fn persisted(now: u64) {
    with(|raft| {
        OUTPUT.with_borrow(|output| {
            if let Some((sequence, _)) = &output.persist {
                raft.persisted(Time::from_micros(now), *sequence);
            }
        })
    });
}

/// The buffer holds a wanted configuration.
#[unsafe(no_mangle)]
pub extern "C" fn change(now: u64) -> bool {
    let Some(change) = decoded::<MembershipChange>() else { return false };
    with(|raft| raft.change_membership(Time::from_micros(now), change).is_ok())
}

#[unsafe(no_mangle)]
pub extern "C" fn read(now: u64, token: u64) {
    with(|raft| raft.read(Time::from_micros(now), ReadToken(token)));
}

#[unsafe(no_mangle)]
pub extern "C" fn transfer(now: u64, to: u32) -> bool {
    with(|raft| raft.transfer(Time::from_micros(now), id(to)).is_ok())
}

#[unsafe(no_mangle)]
pub extern "C" fn peer_lost(now: u64, peer: u32) {
    with(|raft| raft.peer_lost(Time::from_micros(now), id(peer)));
}

#[unsafe(no_mangle)]
pub extern "C" fn peer_back(now: u64, peer: u32) {
    with(|raft| raft.peer_back(Time::from_micros(now), id(peer)));
}

/// The buffer holds a snapshot.
#[unsafe(no_mangle)]
pub extern "C" fn compact(now: u64, applied: u64) -> bool {
    let data = Bytes::from(BUFFER.take());
    with(|raft| raft.compact(Time::from_micros(now), Index::new(applied), data).is_ok())
}

thread_local! {
    static OUTPUT: RefCell<Output> = RefCell::new(Output::default());
}

/// The output, written into the buffer: messages, writes and entries encoded, and the rest as numbers.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> usize {
    OUTPUT.with_borrow_mut(|output| {
        with(|raft| raft.fill_output(output));
        let messages: Vec<_> = output.send_now.iter().chain(&output.send_after_persist).collect();
        let writes =
            output.persist.iter().flat_map(|(_, operations)| operations).map(written).collect::<Vec<_>>();
        let reads: Vec<_> = output.reads.iter().map(|read| (read.token.0, read.result.ok())).collect();
        let rest = (reads, output.want_snapshot, output.state_changed, with(|raft| raft.status().term.get()));
        give(wire::encode(wire::PEER_VERSION, &(messages, writes, &output.committed, &output.install, rest)))
    })
}

fn written(operation: &shared::raft::StorageOp) -> Vec<u8> {
    use shared::raft::StorageOp;
    match operation {
        StorageOp::HardState(hard_state) => wire::encode(0, hard_state),
        StorageOp::Append(entries) => wire::encode(1, entries),
        StorageOp::Snapshot(snapshot) => wire::encode(2, snapshot),
        StorageOp::CompactTo { snapshot, first_kept } => wire::encode(3, &(snapshot, first_kept)),
    }
}
