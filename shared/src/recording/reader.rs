//! Reads a recording, piece by piece as it comes. Nothing in it is trusted.

use super::{MAGIC, Maker, Record, Start, frames};
use crate::limits;
use serde::de::DeserializeOwned;

/// The first frame is a few words and two numbers.
const MAKER_BYTES_MAX: usize = 1024;

#[derive(Debug, Default)]
pub struct Reader {
    /// What came and was not read yet begins at `read` in here.
    bytes: Vec<u8>,
    read: usize,
    /// Where `bytes[read]` stands in the file.
    position: u64,
}

/// Why a file is not replayed, or not further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("this is no recording of wordraft, or one of another version")]
    NoRecording,
    #[error(
        "the recording was made by {theirs}, and this is {ours}: replay it with the program that made it"
    )]
    OtherProgram { theirs: Maker, ours: Maker },
    #[error("the recording ends before the node's start")]
    NoStart,
    #[error("the recording is damaged at byte {position}")]
    Damaged { position: u64 },
    #[error(
        "what stands at byte {position} is not understood: another build of this program made the recording"
    )]
    NotUnderstood { position: u64 },
}

/// What lies after the last whole record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    Nothing,
    /// So many bytes of a record that was never finished.
    Cut(u64),
}

impl Reader {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// `None`: push more.
    pub fn start(&mut self) -> Result<Option<Start>, ReadError> {
        if self.position == 0 {
            let waiting = self.waiting();
            let beginning = &waiting[..waiting.len().min(MAGIC.len())];
            if !MAGIC.starts_with(beginning) {
                return Err(ReadError::NoRecording);
            }
            if beginning.len() < MAGIC.len() {
                return Ok(None);
            }
            self.advance(MAGIC.len());
        }
        if self.position == MAGIC.len() as u64 {
            let Some(theirs) = self.next::<Maker>(MAKER_BYTES_MAX)? else { return Ok(None) };
            let ours = Maker::this_program();
            if theirs != ours {
                return Err(ReadError::OtherProgram { theirs, ours });
            }
        }
        self.next(limits::RECORDING_START_BYTES_MAX)
    }

    /// What follows the start. `None`: push more.
    pub fn record(&mut self) -> Result<Option<Record>, ReadError> {
        self.next(limits::RECORD_BYTES_MAX)
    }

    /// When there is no more to push.
    pub fn rest(&self) -> Rest {
        match self.waiting().len() {
            0 => Rest::Nothing,
            bytes => Rest::Cut(bytes as u64),
        }
    }

    fn waiting(&self) -> &[u8] {
        &self.bytes[self.read..]
    }

    fn advance(&mut self, bytes: usize) {
        self.read += bytes;
        self.position += bytes as u64;
    }

    fn next<T: DeserializeOwned>(&mut self, bytes_max: usize) -> Result<Option<T>, ReadError> {
        let position = self.position;
        let frame = frames::first(self.waiting(), bytes_max);
        let Some((body, bytes)) = frame.map_err(|frames::Damaged| ReadError::Damaged { position })? else {
            return Ok(None);
        };
        let Ok((value, [])) = postcard::take_from_bytes(body) else {
            return Err(ReadError::NotUnderstood { position });
        };
        self.advance(bytes);
        Ok(Some(value))
    }
}
