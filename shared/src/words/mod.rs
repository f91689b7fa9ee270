//! Text to tokens to counts.
//!
//! # What a word is
//!
//! Three rules, of which a count names one ([`Mode`]); for each there is a reference that somebody else wrote.
//!
//! - `unicode`: the word segments of UAX #29 that hold a letter or a number (Alphabetic, or of the category N), each
//!   lower-cased with the full mapping of Unicode. So `can't`, `3,4` and `e.g` are words, `___` and `-` are not, and
//!   every ideograph is one of its own. Here the standard alone decides: the crate `unicode-segmentation` agrees
//!   except where a zero width joiner stands before a pictograph (see `segment`).
//! - `whitespace`: what stands between characters with the property White_Space, lower-cased in the same way.
//! - `ascii`: what stands between the bytes 09 to 0D and 20, with `A` to `Z` lower-cased and all other bytes as they
//!   are. It asks for no encoding at all.
//!
//! The first two read any bytes as UTF-8 in which U+FFFD stands for each invalid sequence. Nothing is normalised: `é`
//! and `e` with an accent are two words. What depends on Unicode depends on [`UNICODE_VERSION`].
//!
//! # Why cuts are safe
//!
//! A text is cut into chunks, and chunks are counted by whoever has them. After a line feed every rule breaks,
//! whatever stands on either side; so it does between a space and an ASCII letter or digit. Between two such places
//! lies a text that can be counted as if it were alone. [`Chunker`] cuts there and nowhere else if it can.
//!
//! It cannot in a text without such places. Then a chunk ends wherever it is full, and the bytes from its last
//! safe cut to its end, and from its beginning to its first, remain uncounted as its open [`Edges`]. They are counted
//! when the neighbour's edge is put to them. A stretch without a cut of more than `OPEN_EDGE_BYTES_MAX` ends the count
//! with an error, wherever the chunks happen to end.
//!
//! # How partials merge
//!
//! A [`Partial`] is the [`Table`] of the closed text of a piece, and its edges. Both depend on the bytes of the piece
//! alone; so joining neighbours is associative, the partial of a whole is equal to any joining of its parts, and all
//! members arrive at the same bytes. When a document is whole, [`Partial::close`] counts the last two edges.
//! Tables of documents then merge in any order, and a [`Summary`] is read off the result in one pass.

mod codec;
mod cut;
mod edges;
mod letters;
mod local;
mod mode;
mod partial;
mod reader;
mod report;
pub mod sample;
mod segment;
mod summary;
mod table;
mod tally;
mod tokens;
mod top;

pub use codec::{DecodeError, ENCODING_VERSION};
pub use cut::{Chunker, safe_cut};
pub use edges::{CountError, Edges};
pub use letters::{LetterCount, Letters};
pub use local::{Lane, Seam, count_all};
pub use mode::{Mode, ParseModeError, UNICODE_VERSION, UnicodeVersion};
pub use partial::Partial;
pub use reader::{Cursor, TableReader};
pub use report::{CSV_HEADER, CountReport, ReportWord, ReportWorker, put_csv_line};
pub use summary::{Summary, SummaryBuilder, SummaryWord};
pub use table::{Entry, Table, TableWriter, Totals};
pub use top::{ByCount, CountedWord, Top};

#[cfg(test)]
mod tests;
