//! Reads a result's table out of the cluster, a block at a time.

use super::documents::read_block;
use super::error::{ApiError, ApiResult};
use crate::driver::NodeHandle;
use axum::http::StatusCode;
use shared::state_machine::BlockRef;
use shared::words::{CountedWord, DecodeError, Entry, Mode, SummaryWord, TableReader, Top};
use std::ops::ControlFlow;

/// A table in blocks, and the node to get them from.
pub struct StoredTable<'a> {
    node: &'a NodeHandle,
    mode: Mode,
    blocks: &'a [BlockRef],
}

impl<'a> StoredTable<'a> {
    pub fn new(node: &'a NodeHandle, mode: Mode, blocks: &'a [BlockRef]) -> StoredTable<'a> {
        StoredTable { node, mode, blocks }
    }

    /// Goes through the words in the order of their bytes until `visit` has seen enough.
    pub async fn for_each(&self, mut visit: impl FnMut(Entry<'_>) -> ControlFlow<()>) -> ApiResult<()> {
        let mut reader = TableReader::new();
        for &block in self.blocks {
            reader.push(&read_block(self.node, block).await?);
            while let Some(entry) = reader.next_entry().map_err(damaged)? {
                if visit(entry).is_break() {
                    return Ok(());
                }
            }
        }
        reader.finish().map(drop).map_err(damaged)
    }

    /// The `limit` most frequent words.
    pub async fn top(&self, limit: usize) -> ApiResult<Vec<CountedWord>> {
        let mut top = Top::new(limit);
        self.for_each(|entry| {
            top.add(entry);
            ControlFlow::Continue(())
        })
        .await?;
        Ok(top.finish())
    }

    /// The whole of a word that a summary may show cut.
    pub async fn whole_word(&self, word: &SummaryWord) -> ApiResult<CountedWord> {
        if word.is_whole() {
            return Ok(CountedWord { word: word.prefix.clone(), count: word.count });
        }
        let mut reader = TableReader::resume_at(self.mode, word.table_offset);
        let mut end = 0;
        for &block in self.blocks {
            let start = end;
            end += u64::from(block.bytes);
            if end <= word.table_offset {
                continue;
            }
            let bytes = read_block(self.node, block).await?;
            let skipped = word.table_offset.saturating_sub(start) as usize;
            reader.push(bytes.get(skipped..).unwrap_or_default());
            if let Some(entry) = reader.next_entry().map_err(damaged)? {
                return Ok(CountedWord { word: entry.word.to_vec(), count: entry.count });
            }
        }
        Err(damaged(DecodeError::Truncated("table")))
    }
}

/// Blocks are verified by their hashes, so this would be a defect of whoever wrote the table.
fn damaged(error: DecodeError) -> ApiError {
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        format!("the table of the result cannot be read: {error}"),
    )
    .hint("count the documents again")
}
