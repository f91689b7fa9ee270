//! Writes down what a node is told.

use super::{End, Fingerprint, Fingerprinting, MAGIC, Maker, Record, Start, frames};
use crate::limits;
use crate::node::{Input, Ready};
use crate::time::Time;

/// What stands in the file belongs to the caller: every method gives the bytes that come next.
#[derive(Debug)]
pub struct Recorder {
    fingerprint: Fingerprinting,
    bytes: u64,
    bytes_max: u64,
    ended: bool,
}

/// Why a recording does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error("what the node has stored takes {bytes} bytes, more than the recording's limit of {bytes_max}")]
    StoreTooLarge { bytes: u64, bytes_max: u64 },
}

impl Recorder {
    /// `bytes_max` is the limit of the file, within which the last input fits.
    pub fn begin(start: &Start, bytes_max: u64) -> Result<(Recorder, Vec<u8>), StartError> {
        let begin = frames::encode(start);
        let start_bytes = frames::body_bytes(&begin);
        let file = [MAGIC, &frames::encode(&Maker::this_program()), &begin].concat();
        let bytes = file.len() as u64;
        let start_max = limits::RECORDING_START_BYTES_MAX;
        if bytes > bytes_max || start_bytes > start_max {
            return Err(StartError::StoreTooLarge { bytes, bytes_max: bytes_max.min(start_max as u64) });
        }
        Ok((Recorder { fingerprint: Fingerprinting::default(), bytes, bytes_max, ended: false }, file))
    }

    /// Before the node handles `input`. Nothing comes of it once the recording has ended.
    pub fn input(&mut self, at: Time, input: &Input) -> Vec<u8> {
        if self.ended {
            return Vec::new();
        }
        let record = Record::Input { before: self.fingerprint.so_far(), at, input };
        let frame = frames::encode(&record);
        let bytes = self.bytes + frame.len() as u64;
        if bytes > self.bytes_max || frames::body_bytes(&frame) > limits::RECORD_BYTES_MAX {
            return self.end(End::Limit);
        }
        self.bytes = bytes;
        frame
    }

    /// After the node has handled it.
    pub fn output(&mut self, ready: &Ready) {
        if !self.ended {
            self.fingerprint.add(ready);
        }
    }

    /// The last bytes; none if there were last ones before.
    pub fn end(&mut self, why: End) -> Vec<u8> {
        if std::mem::replace(&mut self.ended, true) {
            return Vec::new();
        }
        ending(Some(self.fingerprint.so_far()), why)
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }
}

/// The end of a file whose writer could not take what the recorder gave it.
pub fn broken_off(why: End) -> Vec<u8> {
    ending(None, why)
}

fn ending(before: Option<Fingerprint>, why: End) -> Vec<u8> {
    let record: Record = Record::End { before, why };
    frames::encode(&record)
}
