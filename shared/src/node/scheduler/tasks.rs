//! How a job falls into tasks: the same on every member, so that a partial is found again whoever leads.

use crate::ids::{DocumentId, Hash, JobId};
use crate::limits;
use crate::node::compute::task_key;
use crate::node::contract::BlockName;
use crate::state_machine::{BlockRef, Document, Job, State};
use crate::words::Mode;

/// A text is cut into about so many tasks before they reach their full size, so that a small one occupies all members.
const TASKS_OF_A_DOCUMENT: u64 = 64;

/// Consecutive blocks of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::node) struct Slice {
    pub document: DocumentId,
    pub first: u32,
    pub blocks: Vec<BlockRef>,
    pub bytes: u64,
    /// Names the partial.
    pub key: Hash,
}

/// The tasks of a job, document by document in text order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::node) struct Cut {
    pub slices: Vec<Slice>,
    /// How many slices belong to each document of the job.
    pub documents: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::node) enum CutError {
    #[error("document {0} is gone")]
    NoDocument(DocumentId),
    #[error("the job {0} has more than {max} tasks: count its documents in several jobs", max = limits::JOB_TASKS_MAX)]
    TooMany(JobId),
}

/// `task_bytes_max`: the size that tasks of a large document reach.
pub(in crate::node) fn cut(state: &State, job: &Job, task_bytes_max: u64) -> Result<Cut, CutError> {
    let mut cut = Cut::default();
    for id in &job.documents {
        let document = state.documents.get(id).ok_or(CutError::NoDocument(*id))?;
        let before = cut.slices.len();
        slice(document, job.options.mode, task_bytes_max, &mut cut.slices);
        cut.documents.push((cut.slices.len() - before) as u32);
        if cut.slices.len() > limits::JOB_TASKS_MAX {
            return Err(CutError::TooMany(job.id));
        }
    }
    Ok(cut)
}

fn slice(document: &Document, mode: Mode, task_bytes_max: u64, slices: &mut Vec<Slice>) {
    let smallest = task_bytes_max.min(limits::CHUNK_BYTES as u64);
    let target = (document.bytes / TASKS_OF_A_DOCUMENT).clamp(smallest, task_bytes_max);
    let mut first = 0;
    while first < document.blocks.len() {
        let (mut end, mut bytes) = (first, 0);
        // A chunk that ends a little late must not push the next one into a task of its own.
        while end < document.blocks.len() && (end == first || bytes + target / 8 < target) {
            bytes += u64::from(document.blocks[end].bytes);
            end += 1;
        }
        let blocks = document.blocks[first..end].to_vec();
        let key = task_key(mode, blocks.iter().map(|block| &block.hash));
        slices.push(Slice { document: document.id, first: first as u32, blocks, bytes, key });
        first = end;
    }
}

impl Slice {
    pub fn inputs(&self) -> Vec<BlockName> {
        self.blocks.iter().map(BlockName::of_ref).collect()
    }

    pub fn partial(&self) -> BlockName {
        BlockName::Partial(self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_machine::{JobOptions, JobState};
    use crate::time::Time;

    const KIB: u32 = 1 << 10;
    const MIB: u64 = 1 << 20;

    fn document(n: u8, blocks: &[u32]) -> Document {
        let blocks: Vec<BlockRef> = (blocks.iter().enumerate())
            .map(|(i, &bytes)| BlockRef { hash: Hash::of(&[n, i as u8, (i >> 8) as u8]), bytes })
            .collect();
        Document {
            id: DocumentId::from_bytes([n; 10]),
            name: String::new(),
            bytes: blocks.iter().map(|block| u64::from(block.bytes)).sum(),
            blocks,
            added_at: Time::ZERO,
            expires_at: None,
        }
    }

    fn cut_of(documents: Vec<Document>, task_bytes_max: u64) -> Cut {
        let mut state = State::default();
        let job = Job {
            id: JobId::from_bytes([1; 10]),
            documents: documents.iter().map(|document| document.id).collect(),
            options: JobOptions { mode: Mode::Unicode, top: 1, verify: 1 },
            submitted_at: Time::ZERO,
            state: JobState::Running,
        };
        state.documents.extend(documents.into_iter().map(|document| (document.id, document)));
        cut(&state, &job, task_bytes_max).unwrap()
    }

    #[test]
    fn tasks_grow_with_the_document_up_to_their_limit() {
        let blocks_per_task = |blocks: &[u32]| -> Vec<usize> {
            cut_of(vec![document(1, blocks)], 8 * MIB).slices.iter().map(|slice| slice.blocks.len()).collect()
        };
        assert_eq!(blocks_per_task(&[]), [0usize; 0]);
        assert_eq!(blocks_per_task(&[10]), [1]);
        assert_eq!(blocks_per_task(&[1025 * KIB; 10]), [1; 10]);
        assert_eq!(blocks_per_task(&[1025 * KIB; 256]), [4; 64]);
        assert_eq!(blocks_per_task(&[1023 * KIB; 2000]), [8; 250]);
        assert_eq!(blocks_per_task(&[100 * KIB; 20]), [9, 9, 2], "small blocks share a task");
    }

    #[test]
    fn every_block_is_in_one_task_and_tasks_end_with_their_document() {
        let cut = cut_of(vec![document(1, &[500, 600, 700]), document(2, &[]), document(3, &[9])], 1000);
        assert_eq!(cut.documents, [2, 0, 1]);
        let spans: Vec<(u32, usize, u64)> =
            cut.slices.iter().map(|slice| (slice.first, slice.blocks.len(), slice.bytes)).collect();
        assert_eq!(spans, [(0, 2, 1100), (2, 1, 700), (0, 1, 9)]);
        let keys: std::collections::BTreeSet<Hash> = cut.slices.iter().map(|slice| slice.key).collect();
        assert_eq!(keys.len(), 3);
    }

    #[test]
    fn a_job_of_a_missing_document_is_refused() {
        let job = Job {
            id: JobId::from_bytes([1; 10]),
            documents: vec![DocumentId::from_bytes([9; 10])],
            options: JobOptions { mode: Mode::Ascii, top: 1, verify: 1 },
            submitted_at: Time::ZERO,
            state: JobState::Running,
        };
        assert_eq!(cut(&State::default(), &job, 1), Err(CutError::NoDocument(job.documents[0])));
    }
}
