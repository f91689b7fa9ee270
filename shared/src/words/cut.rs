//! Where a text may be cut: the two sides, counted apart, give the same words as the whole.

use super::mode::Mode;
use crate::limits;
use bytes::{Bytes, BytesMut};

/// The bytes at which the `ascii` mode splits; all of them are white space of Unicode too.
pub(super) const fn is_ascii_space(byte: u8) -> bool {
    matches!(byte, 0x09..=0x0D | 0x20)
}

/// Whether the place between two bytes is a safe cut in *every* mode.
///
/// UAX #29 breaks after LF whatever comes next (WB3a), and between a space and an ASCII letter or digit, whose
/// Word_Break classes are joined by no rule. Both bytes are characters of their own in any text, however
/// broken its UTF-8 may be. After a space alone the cut is not safe: a combining mark would belong to the space.
const fn is_cut_in_every_mode(before: u8, after: u8) -> bool {
    before == b'\n' || (before == b' ' && after.is_ascii_alphanumeric())
}

/// What follows a byte at the end of what is known. It makes no cut on its own account.
const UNKNOWN: u8 = 0;

/// Whether the place between two bytes is a safe cut in this mode. The modes that know no other separator than
/// white space can be cut after any ASCII one.
pub(super) const fn is_cut(mode: Mode, before: u8, after: u8) -> bool {
    match mode {
        Mode::Unicode => is_cut_in_every_mode(before, after),
        Mode::Whitespace | Mode::Ascii => is_ascii_space(before),
    }
}

/// The first safe cut of a piece for this mode; its own end is one if that needs no look at what follows.
pub(super) fn first_cut(mode: Mode, piece: &[u8]) -> Option<usize> {
    let inside = piece.windows(2).position(|pair| is_cut(mode, pair[0], pair[1]));
    inside.map(|before| before + 1).or_else(|| cut_at_end(mode, piece))
}

/// The last safe cut of a piece for this mode.
pub(super) fn last_cut(mode: Mode, piece: &[u8]) -> Option<usize> {
    let inside = || piece.windows(2).rposition(|pair| is_cut(mode, pair[0], pair[1]));
    cut_at_end(mode, piece).or_else(|| inside().map(|before| before + 1))
}

fn cut_at_end(mode: Mode, piece: &[u8]) -> Option<usize> {
    piece.last().filter(|&&last| is_cut(mode, last, UNKNOWN)).map(|_| piece.len())
}

/// Where the first chunk of a text ends: at the first cut of at least `target` bytes that is safe in every mode,
/// or after `max` bytes if there is none. `None`: not to be told before more of the text is known.
pub fn safe_cut(text: &[u8], target: usize, max: usize) -> Option<usize> {
    safe_cut_from(text, target.max(1), target, max)
}

/// The same, when all places before `from` have been looked at.
fn safe_cut_from(text: &[u8], from: usize, target: usize, max: usize) -> Option<usize> {
    let known = text.len().min(max);
    (from.max(target).max(1)..=known)
        .find(|&at| is_cut_in_every_mode(text[at - 1], text.get(at).copied().unwrap_or(UNKNOWN)))
        .or((text.len() >= max).then_some(max))
}

/// Cuts a stream into chunks. Where the cuts lie depends on the text alone, not on how it arrives.
///
/// Feed it with [`push`](Chunker::push), take what is complete with [`next_chunk`](Chunker::next_chunk), and end
/// with [`finish`](Chunker::finish). It holds less than one chunk and what was pushed last.
#[derive(Debug)]
pub struct Chunker {
    buffer: BytesMut,
    looked_at: usize,
    target: usize,
    max: usize,
}

impl Default for Chunker {
    fn default() -> Chunker {
        Chunker::new()
    }
}

impl Chunker {
    /// Chunks of the size that documents are stored in.
    pub fn new() -> Chunker {
        Chunker::with_sizes(limits::CHUNK_BYTES, limits::CHUNK_BYTES_MAX)
    }

    /// Chunks of another size; `max` is at least `target`, and both at least one byte.
    pub fn with_sizes(target: usize, max: usize) -> Chunker {
        let target = target.max(1);
        Chunker { buffer: BytesMut::new(), looked_at: 0, target, max: max.max(target) }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next chunk, if its end is certain by now.
    pub fn next_chunk(&mut self) -> Option<Bytes> {
        match safe_cut_from(&self.buffer, self.looked_at, self.target, self.max) {
            Some(at) => {
                self.looked_at = 0;
                Some(self.buffer.split_to(at).freeze())
            }
            None => {
                // The last place was seen without the byte that follows it.
                self.looked_at = self.buffer.len();
                None
            }
        }
    }

    /// The rest of the text, once `next_chunk` has nothing more. `None` when nothing is left.
    pub fn finish(&mut self) -> Option<Bytes> {
        self.looked_at = 0;
        self.next_chunk().or_else(|| (!self.buffer.is_empty()).then(|| self.buffer.split().freeze()))
    }
}

/// Line feeds in a text.
pub(super) fn count_lines(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte == b'\n').count() as u64
}
