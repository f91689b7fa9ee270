//! What the node of this tab is told, written down from its start on for `wordraft replay`.
//!
//! There is one node in a worker, and so one recording. It lies beside the driver, not in it: when a defect ends the
//! driver, the recording is what is wanted.

use super::clock::scope;
use crate::bridge::{Attachment, ToPage, post_with};
use js_sys::{Array, Uint8Array};
use shared::limits;
use shared::node::{Input, Ready};
use shared::recording::{End, Recorder, Start, StartError};
use shared::time::Time;
use std::cell::RefCell;
use web_sys::Blob;

/// So much is held in this worker's own memory before the browser gets it.
const PIECE_BYTES: usize = 1 << 20;

thread_local! {
    static RECORDING: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

struct Recording {
    recorder: Recorder,
    fresh: Vec<u8>,
    /// Blobs: the browser may put them on a disk.
    pieces: Array,
}

pub fn begin(start: &Start) -> Result<(), StartError> {
    let (recorder, fresh) = Recorder::begin(start, limits::TAB_RECORDING_BYTES)?;
    RECORDING.set(Some(Recording { recorder, fresh, pieces: Array::new() }));
    Ok(())
}

/// Before the node handles `input`.
pub fn input(at: Time, input: &Input) {
    with(|recording| {
        let record = recording.recorder.input(at, input);
        recording.fresh.extend(record);
        if recording.fresh.len() >= PIECE_BYTES {
            recording.set_aside();
        }
    });
}

/// After the node has handled it.
pub fn output(ready: &Ready) {
    with(|recording| recording.recorder.output(ready));
}

/// The node runs no more.
pub fn end() {
    with(|recording| {
        let end = recording.recorder.end(End::NodeStopped);
        recording.fresh.extend(end);
    });
}

/// Gives the page all there is so far.
pub fn hand_over() {
    with(|recording| {
        recording.set_aside();
        if let Ok(whole) = Blob::new_with_blob_sequence(&recording.pieces) {
            let _torn_down = post_with(&scope(), &ToPage::Recording, Attachment::Blob(whole));
        }
    });
}

/// Without a recording nothing happens, nor after a panic in the middle of one of these.
fn with(act: impl FnOnce(&mut Recording)) {
    RECORDING.with(|recording| {
        if let Ok(Some(recording)) = recording.try_borrow_mut().as_deref_mut().map(Option::as_mut) {
            act(recording);
        }
    });
}

impl Recording {
    fn set_aside(&mut self) {
        let bytes = Array::of1(&Uint8Array::from(self.fresh.as_slice()));
        // A browser without room for it leaves it here, for the next time.
        if let Ok(piece) = Blob::new_with_u8_array_sequence(&bytes) {
            self.pieces.push(&piece);
            self.fresh.clear();
        }
    }
}
