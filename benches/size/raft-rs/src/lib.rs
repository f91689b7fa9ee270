//! raft-rs behind the same functions as our core, as far as it has them.
#![allow(unsafe_code, reason = "names that a module exports are unsafe to choose")]

use protobuf::Message as _;
use raft::eraftpb::{ConfChangeV2, Message, Snapshot};
use raft::storage::MemStorage;
use raft::{Config, RawNode};
use slog::{Discard, Logger, o};
use std::cell::RefCell;

thread_local! {
    static NODE: RefCell<Option<RawNode<MemStorage>>> = const { RefCell::new(None) };
    /// What the host writes before a call and reads after it.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[cfg(target_arch = "wasm32")]
fn no_randomness(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    bytes.fill(4);
    Ok(())
}

#[cfg(target_arch = "wasm32")]
getrandom::register_custom_getrandom!(no_randomness);

fn with<T: Default>(work: impl FnOnce(&mut RawNode<MemStorage>) -> T) -> T {
    NODE.with_borrow_mut(|node| node.as_mut().map(work).unwrap_or_default())
}

#[unsafe(no_mangle)]
pub extern "C" fn buffer(length: usize) -> *mut u8 {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(length, 0);
        buffer.as_mut_ptr()
    })
}

/// The buffer holds a snapshot.
#[unsafe(no_mangle)]
pub extern "C" fn init(me: u64) -> bool {
    let Ok(snapshot) = Snapshot::parse_from_bytes(&BUFFER.take()) else { return false };
    let storage = MemStorage::new();
    let config =
        Config { id: me, pre_vote: true, check_quorum: true, batch_append: true, ..Config::default() };
    if storage.wl().apply_snapshot(snapshot).is_err() {
        return false;
    }
    let node = RawNode::new(&config, storage, &Logger::root(Discard, o!())).ok();
    let is_fine = node.is_some();
    NODE.set(node);
    is_fine
}

/// The buffer holds a message.
#[unsafe(no_mangle)]
pub extern "C" fn step() -> bool {
    let Ok(message) = Message::parse_from_bytes(&BUFFER.take()) else { return false };
    with(|node| node.step(message).is_ok())
}

#[unsafe(no_mangle)]
pub extern "C" fn tick() -> bool {
    with(RawNode::tick)
}

/// The buffer holds a command.
#[unsafe(no_mangle)]
pub extern "C" fn propose() -> bool {
    with(|node| node.propose(Vec::new(), BUFFER.take()).is_ok())
}

/// The buffer holds a change of the configuration.
#[unsafe(no_mangle)]
pub extern "C" fn change() -> bool {
    let Ok(change) = ConfChangeV2::parse_from_bytes(&BUFFER.take()) else { return false };
    with(|node| node.propose_conf_change(Vec::new(), change).is_ok())
}

#[unsafe(no_mangle)]
pub extern "C" fn read() {
    with(|node| node.read_index(BUFFER.take()));
}

#[unsafe(no_mangle)]
pub extern "C" fn transfer(to: u64) {
    with(|node| node.transfer_leader(to));
}

#[unsafe(no_mangle)]
pub extern "C" fn compact(applied: u64) -> bool {
    with(|node| node.store().wl().compact(applied).is_ok())
}

/// The output, written into the buffer.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> usize {
    let bytes = with(|node| {
        let mut bytes = Vec::new();
        if !node.has_ready() {
            return bytes;
        }
        let mut ready = node.ready();
        let mut messages = ready.take_messages();
        let mut committed = ready.take_committed_entries();
        let store = node.store().clone();
        if *ready.snapshot() != Snapshot::default() {
            let _ = store.wl().apply_snapshot(ready.snapshot().clone());
        }
        let _ = store.wl().append(ready.entries());
        if let Some(hard_state) = ready.hs() {
            store.wl().set_hardstate(hard_state.clone());
        }
        messages.extend(ready.take_persisted_messages());
        let mut rest = node.advance(ready);
        messages.extend(rest.take_messages());
        committed.extend(rest.take_committed_entries());
        for entry in &committed {
            if let Ok(change) = ConfChangeV2::parse_from_bytes(&entry.data)
                && let Ok(state) = node.apply_conf_change(&change)
            {
                store.wl().set_conf_state(state);
            }
            let _ = entry.write_to_vec(&mut bytes);
        }
        node.advance_apply();
        for message in &messages {
            let _ = message.write_to_vec(&mut bytes);
        }
        bytes
    });
    let length = bytes.len();
    BUFFER.set(bytes);
    length
}
