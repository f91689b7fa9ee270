//! The two ends of a piece of text that cannot be counted before their neighbours are known.

use super::cut::{first_cut, is_cut, last_cut};
use super::mode::Mode;
use crate::limits;

/// A count that cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountError {
    #[error(
        "the text has a stretch of more than {max} bytes without a place to cut it in: {}; \
         put line ends into it, or leave it out", where_cuts_are(*mode)
    )]
    Uncut { mode: Mode, max: usize },
    #[error("partials of the modes {0} and {1} cannot be joined")]
    Modes(Mode, Mode),
}

const fn where_cuts_are(mode: Mode) -> &'static str {
    match mode {
        Mode::Unicode => "no line end, and no space before an ASCII letter or digit",
        Mode::Whitespace | Mode::Ascii => "no ASCII white space",
    }
}

/// What stays open of a piece. It depends on the bytes of the piece alone, so it does not matter by which joins the
/// piece came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edges {
    /// A piece without a safe cut, perhaps empty.
    Open(Vec<u8>),
    /// The bytes before the first and after the last safe cut. `head` is never empty.
    Cut { head: Vec<u8>, tail: Vec<u8> },
}

impl Edges {
    /// The edges of a piece, and the closed text between them.
    pub(super) fn of(mode: Mode, piece: &[u8]) -> Result<(Edges, &[u8]), CountError> {
        let Some(first) = first_cut(mode, piece) else {
            check_length(mode, piece.len())?;
            return Ok((Edges::Open(piece.to_vec()), &[]));
        };
        let last = last_cut(mode, piece).unwrap_or(first);
        check_stretches(mode, piece)?;
        let edges = Edges::Cut { head: piece[..first].to_vec(), tail: piece[last..].to_vec() };
        Ok((edges, &piece[first..last]))
    }

    /// The bytes in which nothing has been counted yet.
    pub fn bytes(&self) -> usize {
        match self {
            Edges::Open(open) => open.len(),
            Edges::Cut { head, tail } => head.len() + tail.len(),
        }
    }

    /// Puts `next` behind this piece. What the joint closes goes to `closed`.
    pub(super) fn join(
        self,
        mode: Mode,
        next: Edges,
        mut closed: impl FnMut(&[u8]),
    ) -> Result<Edges, CountError> {
        Ok(match (self, next) {
            (Edges::Open(empty), edges) | (edges, Edges::Open(empty)) if empty.is_empty() => edges,
            (Edges::Open(head), Edges::Open(tail)) if cuts(mode, &head, &tail) => Edges::Cut { head, tail },
            (Edges::Open(left), Edges::Open(right)) => Edges::Open(glue(mode, left, &right)?),
            (Edges::Open(left), Edges::Cut { head, tail }) if cuts(mode, &left, &head) => {
                closed(&head);
                Edges::Cut { head: left, tail }
            }
            (Edges::Open(left), Edges::Cut { head, tail }) => {
                Edges::Cut { head: glue(mode, left, &head)?, tail }
            }
            (Edges::Cut { head, tail }, Edges::Open(right)) if cuts(mode, &tail, &right) => {
                closed(&tail);
                Edges::Cut { head, tail: right }
            }
            (Edges::Cut { head, tail }, Edges::Open(right)) => {
                Edges::Cut { head, tail: glue(mode, tail, &right)? }
            }
            (Edges::Cut { head, tail }, Edges::Cut { head: right, tail: last }) => {
                if cuts(mode, &tail, &right) {
                    closed(&tail);
                    closed(&right);
                } else {
                    closed(&glue(mode, tail, &right)?);
                }
                Edges::Cut { head, tail: last }
            }
        })
    }

    /// The edges of a whole document are closed by its beginning and its end.
    pub(super) fn close(&self, mut closed: impl FnMut(&[u8])) {
        match self {
            Edges::Open(open) => closed(open),
            Edges::Cut { head, tail } => {
                closed(head);
                closed(tail);
            }
        }
    }

    /// Whether these are edges as [`of`](Edges::of) would leave them.
    pub(super) fn are_canonical(&self, mode: Mode) -> bool {
        match self {
            Edges::Open(open) => first_cut(mode, open).is_none(),
            Edges::Cut { head, tail } => {
                let at_its_end = match first_cut(mode, head) {
                    Some(at) => at == head.len(),
                    None => mode == Mode::Unicode && head.last() == Some(&b' '),
                };
                at_its_end && first_cut(mode, tail).is_none()
            }
        }
    }
}

fn cuts(mode: Mode, left: &[u8], right: &[u8]) -> bool {
    match (left.last(), right.first()) {
        (Some(&before), Some(&after)) => is_cut(mode, before, after),
        _ => false,
    }
}

fn glue(mode: Mode, mut left: Vec<u8>, right: &[u8]) -> Result<Vec<u8>, CountError> {
    check_length(mode, left.len() + right.len())?;
    left.extend_from_slice(right);
    Ok(left)
}

fn check_length(mode: Mode, bytes: usize) -> Result<(), CountError> {
    let max = limits::OPEN_EDGE_BYTES_MAX;
    if bytes > max { Err(CountError::Uncut { mode, max }) } else { Ok(()) }
}

/// A stretch that is too long is an error wherever it lies; else the answer would depend on the cuts.
fn check_stretches(mode: Mode, piece: &[u8]) -> Result<(), CountError> {
    let mut rest = piece;
    while rest.len() > limits::OPEN_EDGE_BYTES_MAX {
        let stretch = first_cut(mode, rest).unwrap_or(rest.len());
        check_length(mode, stretch)?;
        rest = &rest[stretch..];
    }
    Ok(())
}
