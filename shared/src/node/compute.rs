//! Tasks as pure functions: the same inputs and options give the same bytes, on whatever member they run.

use super::contract::{BlockName, ComputeError};
use crate::ids::Hash;
use crate::limits;
use crate::state_machine::{BlockRef, JobOptions};
use crate::time::Time;
use crate::words::{
    CountError, ENCODING_VERSION, Lane, Mode, Partial, Seam, Summary, Table, UNICODE_VERSION,
};
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Function {
    /// Inputs: consecutive blocks of one document. Output: their partial, stored under `BlockName::Partial(key)`.
    Count { mode: Mode, key: Hash },
    /// Inputs: the partials of all tasks, document by document in text order; `documents[i]` says how many belong to
    /// document `i`. Output: the table in blocks, and its summary.
    Reduce { options: JobOptions, documents: Vec<u32> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TaskOutput {
    /// `digest` is the hash of the partial; `micros` is the time that counting took on one thread.
    Counted {
        digest: Hash,
        partial_bytes: u64,
        input_bytes: u64,
        micros: u64,
    },
    Reduced {
        summary: Box<Summary>,
        table: Vec<BlockRef>,
    },
}

/// Where a pool reads and writes blocks while a task runs.
pub trait Blocks {
    fn read(&mut self, name: BlockName) -> Result<Bytes, ComputeError>;
    fn write(&mut self, name: BlockName, bytes: Bytes) -> Result<(), ComputeError>;
}

/// Names the partial of consecutive blocks: whoever counts the same text by the same rules finds it again.
pub fn task_key<'a>(mode: Mode, blocks: impl IntoIterator<Item = &'a Hash>) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key("wordraft 2025 counting task");
    hasher.update(&[ENCODING_VERSION]);
    hasher.update(mode.as_str().as_bytes());
    hasher.update(&UNICODE_VERSION.to_bytes());
    for block in blocks {
        hasher.update(block.as_bytes());
    }
    Hash::from_bytes(*hasher.finalize().as_bytes())
}

/// Runs a task to its end: a blocking call for a thread or worker of the pool, never for the one that runs the node.
///
/// A partial that is in the store already is the answer, with 0 `micros`. `clock` measures the `micros` of
/// [`TaskOutput::Counted`] and nothing else; a driver without one gives a constant.
pub fn run(
    function: &Function,
    inputs: &[BlockName],
    blocks: &mut dyn Blocks,
    clock: &dyn Fn() -> Time,
) -> Result<TaskOutput, ComputeError> {
    match function {
        Function::Count { mode, key } => {
            check_key(*mode, *key, inputs)?;
            match stored_partial(*key, blocks) {
                Some(output) => Ok(output),
                None => count(*mode, *key, inputs, blocks, clock),
            }
        }
        Function::Reduce { options, documents } => reduce(*options, documents, inputs, blocks),
    }
}

/// What is stored under a key is taken for the count of its blocks from then on, whoever asked for it.
fn check_key(mode: Mode, key: Hash, inputs: &[BlockName]) -> Result<(), ComputeError> {
    let content = |name: &BlockName| match name {
        BlockName::Content(hash) => Some(*hash),
        BlockName::Partial(_) => None,
    };
    let hashes: Option<Vec<Hash>> = inputs.iter().map(content).collect();
    match hashes {
        Some(hashes) if task_key(mode, &hashes) == key => Ok(()),
        _ => Err(ComputeError::Impossible("the key of a counting task is not that of its inputs".to_owned())),
    }
}

fn stored_partial(key: Hash, blocks: &mut dyn Blocks) -> Option<TaskOutput> {
    let stored = blocks.read(BlockName::Partial(key)).ok()?;
    let sealed = Sealed::open(&stored)?;
    Some(sealed.output(stored.len(), 0))
}

fn count(
    mode: Mode,
    key: Hash,
    inputs: &[BlockName],
    blocks: &mut dyn Blocks,
    clock: &dyn Fn() -> Time,
) -> Result<TaskOutput, ComputeError> {
    let mut lane = Lane::new(mode);
    let mut seam = Seam::new(mode);
    let (mut input_bytes, mut micros) = (0, 0);
    for (index, &name) in (0..).zip(inputs) {
        let block = blocks.read(name)?;
        input_bytes += block.len() as u64;
        let started = clock();
        let counted = lane.count(&block).and_then(|edges| seam.add(index, edges));
        counted.map_err(impossible)?;
        micros += clock().since(started).as_micros() as u64;
    }
    let started = clock();
    let partial = seam.into_partial(vec![lane]).encode();
    micros += clock().since(started).as_micros() as u64;
    let stored = Sealed::seal(input_bytes, &partial);
    drop(partial);
    if stored.len() > limits::PARTIAL_BYTES_MAX {
        return Err(ComputeError::Impossible(format!(
            "a partial count takes {} bytes, more than the limit of {}",
            stored.len(),
            limits::PARTIAL_BYTES_MAX
        )));
    }
    let bytes = stored.len();
    let output = Sealed::open(&stored).map(|sealed| sealed.output(bytes, micros.max(1)));
    blocks.write(BlockName::Partial(key), stored)?;
    output.ok_or_else(|| ComputeError::Unable("a partial was damaged in memory".to_owned()))
}

/// A partial as it is stored: a digest, the bytes of text behind it, and its encoding. Its name says nothing about
/// its bytes, so it has to prove itself that they are whole.
struct Sealed<'a> {
    digest: Hash,
    input_bytes: u64,
    partial: &'a [u8],
}

const DIGEST_BYTES: usize = 32;
const SEAL_BYTES: usize = DIGEST_BYTES + 8;

impl Sealed<'_> {
    fn seal(input_bytes: u64, partial: &[u8]) -> Bytes {
        let mut stored = BytesMut::with_capacity(SEAL_BYTES + partial.len());
        stored.put_bytes(0, DIGEST_BYTES);
        stored.put_u64_le(input_bytes);
        stored.put_slice(partial);
        let digest = Hash::of(&stored[DIGEST_BYTES..]);
        stored[..DIGEST_BYTES].copy_from_slice(digest.as_bytes());
        stored.freeze()
    }

    fn open(stored: &[u8]) -> Option<Sealed<'_>> {
        let (digest, rest) = stored.split_first_chunk::<DIGEST_BYTES>()?;
        let (input_bytes, partial) = rest.split_first_chunk::<8>()?;
        let digest = Hash::from_bytes(*digest);
        let input_bytes = u64::from_le_bytes(*input_bytes);
        (Hash::of(rest) == digest).then_some(Sealed { digest, input_bytes, partial })
    }

    fn output(&self, stored_bytes: usize, micros: u64) -> TaskOutput {
        let Sealed { digest, input_bytes, .. } = *self;
        TaskOutput::Counted { digest, partial_bytes: stored_bytes as u64, input_bytes, micros }
    }
}

fn reduce(
    options: JobOptions,
    documents: &[u32],
    inputs: &[BlockName],
    blocks: &mut dyn Blocks,
) -> Result<TaskOutput, ComputeError> {
    let mode = options.mode;
    let mut rest = inputs;
    let mut tables = Gathering::new(|tables: Vec<Table>| Ok(Table::merge(mode, &tables)));
    for &tasks in documents {
        let (names, after) =
            rest.split_at_checked(tasks as usize).ok_or_else(|| uneven(documents, inputs))?;
        rest = after;
        let table = whole_document(mode, names, blocks)?;
        let bytes = table.as_bytes().len();
        tables.add(table, bytes)?;
    }
    if !rest.is_empty() {
        return Err(uneven(documents, inputs));
    }
    let table = tables.finish()?;
    let summary = Box::new(Summary::of(&table, options.top as usize));
    Ok(TaskOutput::Reduced { summary, table: store_table(table, blocks)? })
}

fn whole_document(mode: Mode, names: &[BlockName], blocks: &mut dyn Blocks) -> Result<Table, ComputeError> {
    let mut partials = Gathering::new(|partials| Partial::join_all(mode, partials).map_err(impossible));
    for &name in names {
        let stored = blocks.read(name)?;
        let partial = Sealed::open(&stored)
            .and_then(|sealed| Partial::decode(sealed.partial).ok())
            .filter(|partial| partial.mode() == mode)
            .ok_or(ComputeError::InputMissing(name))?;
        partials.add(partial, stored.len())?;
    }
    Ok(partials.finish()?.close())
}

/// Cut anywhere: the pieces share the memory of the whole.
fn store_table(table: Table, blocks: &mut dyn Blocks) -> Result<Vec<BlockRef>, ComputeError> {
    let mut rest = Bytes::from(table.encode());
    let mut stored = Vec::new();
    while !rest.is_empty() {
        let block = rest.split_to(rest.len().min(limits::TABLE_BLOCK_BYTES));
        let reference = BlockRef { hash: Hash::of(&block), bytes: block.len() as u32 };
        blocks.write(BlockName::of_ref(&reference), block)?;
        stored.push(reference);
    }
    Ok(stored)
}

/// Merges many into one, a batch at a time: a merge costs as much as everything in it, so the newcomers wait until
/// they weigh as much as what they are merged into.
struct Gathering<T, M> {
    merge: M,
    batch: Vec<T>,
    merged_bytes: usize,
    waiting_bytes: usize,
}

impl<T, M: FnMut(Vec<T>) -> Result<T, ComputeError>> Gathering<T, M> {
    fn new(merge: M) -> Gathering<T, M> {
        Gathering { merge, batch: Vec::new(), merged_bytes: 0, waiting_bytes: 0 }
    }

    /// `bytes`: about what it takes in memory.
    fn add(&mut self, one: T, bytes: usize) -> Result<(), ComputeError> {
        self.batch.push(one);
        self.waiting_bytes += bytes;
        if self.waiting_bytes >= self.merged_bytes.max(limits::MERGE_BATCH_BYTES) {
            let merged = (self.merge)(std::mem::take(&mut self.batch))?;
            self.batch.push(merged);
            self.merged_bytes = self.merged_bytes.max(self.waiting_bytes);
            self.waiting_bytes = 0;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<T, ComputeError> {
        (self.merge)(self.batch)
    }
}

fn impossible(error: CountError) -> ComputeError {
    ComputeError::Impossible(error.to_string())
}

fn uneven(documents: &[u32], inputs: &[BlockName]) -> ComputeError {
    ComputeError::Impossible(format!(
        "{} inputs do not make up documents of {documents:?} tasks",
        inputs.len()
    ))
}

#[cfg(test)]
mod tests;
