//! Work on the store of blocks, a piece per turn of the event loop: a megabyte on its way to the disk must not make a vote
//! wait. Reading a counter's inputs and storing its outputs is such work as well, and keeps its place in the queue.

use super::storage::OpfsFile;
use bytes::Bytes;
use shared::limits;
use shared::node::{BlockError, BlockName, BlockOp, BlockOutcome, ComputeError, Input, TaskOutput};
use shared::storage::BlockStore;
use shared::wire::peer::Ticket;
use std::collections::{BTreeMap, VecDeque};

/// Bytes that are written with one sync: small blocks share one, a chunk has its own. The node stands still meanwhile, some
/// 10 ms for a megabyte, so more at a time would make heartbeats late.
const GROUP_BYTES_MAX: usize = 1 << 20;

/// Bytes that may wait to be written. Beyond it the driver writes first and listens later, which slows the senders down.
const WAITING_BYTES_MAX: usize = limits::BULK_QUEUE_BYTES_MAX;

/// Bytes that a node without a disk keeps.
const MEMORY_BYTES_MAX: u64 = 512 << 20;

pub enum Work {
    Operation(BlockOp),
    /// An input of a task, on its way to its counter.
    Load {
        ticket: Ticket,
        name: BlockName,
    },
    /// An output of a task.
    Store {
        ticket: Ticket,
        name: BlockName,
        bytes: Bytes,
    },
    /// All outputs of the task are in front of this.
    Computed {
        ticket: Ticket,
        result: Result<TaskOutput, ComputeError>,
    },
}

/// What a piece of work leads to.
pub enum Outcome {
    Node(Input),
    Loaded { ticket: Ticket, name: BlockName, result: Result<Bytes, BlockError> },
}

/// What may still be written.
enum Room {
    /// What the node holds, with lengths: memory is bounded by ourselves.
    Memory { held: BTreeMap<BlockName, u64>, bytes_max: u64 },
    /// Before the browser is asked again.
    Disk { left_bytes: u64 },
}

pub struct Blocks {
    /// `None` after it could not be opened again; the next work tries once more.
    store: Option<BlockStore>,
    waiting: VecDeque<Work>,
    waiting_bytes: usize,
    room: Room,
    /// Outputs that could not be stored, by task.
    unstored: BTreeMap<Ticket, BlockError>,
}

impl Blocks {
    pub fn new(store: BlockStore) -> Blocks {
        Blocks::bounded(store, MEMORY_BYTES_MAX)
    }

    /// Holds so many bytes, unless [`Blocks::set_room`] says that there is a disk.
    pub fn bounded(store: BlockStore, bytes_max: u64) -> Blocks {
        Blocks {
            store: Some(store),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            room: Room::Memory { held: BTreeMap::new(), bytes_max },
            unstored: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, work: Work) {
        self.waiting_bytes += work.bytes();
        self.waiting.push_back(work);
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// More waits than memory should hold.
    pub fn is_overfull(&self) -> bool {
        self.waiting_bytes > WAITING_BYTES_MAX
    }

    /// What the browser says it has left for this origin.
    pub fn set_room(&mut self, used_bytes: u64, quota_bytes: u64) {
        let left_bytes = quota_bytes.saturating_sub(used_bytes).saturating_sub(limits::DISK_SPARE_BYTES);
        self.room = Room::Disk { left_bytes };
    }

    /// Does the next piece: a group of writes under one sync, or one other thing.
    pub fn turn(&mut self, file: Option<&OpfsFile>, outcomes: &mut Vec<Outcome>) {
        let writes = self.next_writes();
        if !writes.is_empty() {
            return self.write(writes, file, outcomes);
        }
        match self.waiting.pop_front() {
            Some(Work::Operation(BlockOp::Get { ticket, name, offset, bytes_max })) => {
                let read = self.with(file, |store| store.get(name, offset, bytes_max));
                let result = read.map(|(bytes, total)| BlockOutcome::Data { bytes, total });
                outcomes.push(Outcome::Node(Input::Block { ticket, result }));
            }
            Some(Work::Operation(BlockOp::Delete { names })) => {
                self.room.give_back(&names);
                // What could not be deleted is found again at the next start, and asked about again.
                let _still_there = self.with(file, |store| store.delete(names));
            }
            Some(Work::Load { ticket, name }) => {
                let read = self.with(file, |store| store.get(name, 0, u32::MAX));
                outcomes.push(Outcome::Loaded { ticket, name, result: read.map(|(bytes, _)| bytes) });
            }
            Some(Work::Computed { ticket, result }) => {
                let result = match self.unstored.remove(&ticket) {
                    None => result,
                    Some(error) => {
                        Err(ComputeError::Unable(format!("the output could not be stored: {error}")))
                    }
                };
                outcomes.push(Outcome::Node(Input::Computed { ticket, result }));
            }
            Some(Work::Operation(BlockOp::Put { .. }) | Work::Store { .. }) | None => {}
        }
    }

    /// The writes at the head of the queue, up to a group.
    fn next_writes(&mut self) -> Vec<Write> {
        let mut writes = Vec::new();
        let mut group_bytes = 0;
        while group_bytes < GROUP_BYTES_MAX {
            let write = match self.waiting.pop_front() {
                Some(Work::Operation(BlockOp::Put { ticket, name, bytes })) => {
                    Write { ticket, name, bytes, is_output: false }
                }
                Some(Work::Store { ticket, name, bytes }) => Write { ticket, name, bytes, is_output: true },
                Some(other) => {
                    self.waiting.push_front(other);
                    break;
                }
                None => break,
            };
            group_bytes += write.bytes.len();
            writes.push(write);
        }
        self.waiting_bytes = self.waiting_bytes.saturating_sub(group_bytes);
        writes
    }

    fn write(&mut self, writes: Vec<Write>, file: Option<&OpfsFile>, outcomes: &mut Vec<Outcome>) {
        let together = self.put(file, &writes);
        for write in &writes {
            let result = match &together {
                // One that is bad must not take the others with it.
                Err(_) if writes.len() > 1 => self.put(file, std::slice::from_ref(write)),
                result => result.clone(),
            };
            match (write.is_output, result) {
                (false, result) => {
                    let result = result.map(|()| BlockOutcome::Stored);
                    outcomes.push(Outcome::Node(Input::Block { ticket: write.ticket, result }));
                }
                (true, Ok(())) => {}
                (true, Err(error)) => {
                    self.unstored.insert(write.ticket, error);
                }
            }
        }
    }

    fn put(&mut self, file: Option<&OpfsFile>, writes: &[Write]) -> Result<(), BlockError> {
        self.room.take(writes)?;
        self.with(file, |store| store.put_all(writes.iter().map(|write| (write.name, write.bytes.as_ref()))))
    }

    /// A store that failed takes no more work until it has been opened again.
    fn with<T>(
        &mut self,
        file: Option<&OpfsFile>,
        work: impl FnOnce(&BlockStore) -> Result<T, BlockError>,
    ) -> Result<T, BlockError> {
        if let (None, Some(file)) = (&self.store, file) {
            self.store = BlockStore::open(file.backend()).ok().map(|(store, _)| store);
        }
        let Some(store) = &self.store else {
            return Err(BlockError::Failed("the blocks cannot be opened".to_owned()));
        };
        let result = work(store);
        if matches!(result, Err(BlockError::Full | BlockError::Failed(_))) && file.is_some() {
            // The file has one owner at a time: the former has to be gone before it is opened again.
            self.store = None;
        }
        result
    }
}

impl Room {
    fn take(&mut self, writes: &[Write]) -> Result<(), BlockError> {
        let lengths = || writes.iter().map(|write| (write.name, write.bytes.len() as u64));
        match self {
            Room::Disk { left_bytes } => {
                let bytes = lengths().map(|(_, bytes)| bytes).sum();
                *left_bytes = left_bytes.checked_sub(bytes).ok_or(BlockError::Full)?;
            }
            Room::Memory { held, bytes_max } => {
                let new = lengths().filter(|(name, _)| !held.contains_key(name)).map(|(_, bytes)| bytes);
                if held.values().sum::<u64>() + new.sum::<u64>() > *bytes_max {
                    return Err(BlockError::Full);
                }
                held.extend(lengths());
            }
        }
        Ok(())
    }

    /// A browser says by itself what has come free on its disk.
    fn give_back(&mut self, names: &[BlockName]) {
        if let Room::Memory { held, .. } = self {
            held.retain(|name, _| !names.contains(name));
        }
    }
}

struct Write {
    ticket: Ticket,
    name: BlockName,
    bytes: Bytes,
    is_output: bool,
}

impl Work {
    /// Bytes that wait in memory with it.
    fn bytes(&self) -> usize {
        match self {
            Work::Operation(BlockOp::Put { bytes, .. }) | Work::Store { bytes, .. } => bytes.len(),
            _ => 0,
        }
    }
}
