//! The two stores on files, each behind a thread that groups writes into one sync.

use super::data_directory::{DataDirectory, DataError};
use super::runner::Completion;
use bytes::Bytes;
use redb::backends::FileBackend;
use shared::limits;
use shared::node::{BlockError, BlockName, BlockOp, BlockOutcome, Input, Persist, Stored};
use shared::storage::{BlockStore, LogStore, StorageError};
use shared::wire::identity::Identity;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;

/// Persists that share one sync.
const LOG_GROUP_MAX: usize = 256;

/// Bytes of blocks that share one sync.
const BLOCK_GROUP_BYTES_MAX: usize = 8 << 20;

/// Blocks of one node that are read at a time: what they take in memory is bounded.
const READS_MAX: usize = 4;

/// Everything of a node on disk. Dropped, it finishes what was asked for, then lets go of the directory.
#[derive(Debug)]
pub(super) struct Storage {
    log: Option<Sender<Persist>>,
    blocks: Option<BlockAccess>,
    reads: Arc<Semaphore>,
    completions: UnboundedSender<Completion>,
    threads: Vec<JoinHandle<()>>,
    _directory: DataDirectory,
}

/// A node's blocks, for threads that may wait for the disk.
#[derive(Clone, Debug)]
pub(super) struct BlockAccess {
    file: Arc<BlockFile>,
    writes: Sender<BlockWrite>,
}

/// The store, opened again after a failure: `redb` takes no more writes once one has failed, and a disk that was full may have
/// room again.
#[derive(Debug)]
struct BlockFile {
    path: PathBuf,
    store: RwLock<Option<BlockStore>>,
}

type Answer = Box<dyn FnOnce(Result<(), BlockError>) + Send>;

enum BlockWrite {
    Put { name: BlockName, bytes: Bytes, answer: Answer },
    Delete { names: Vec<BlockName> },
}

/// Opens a node's directory: who it is, what it knew, and where it goes on writing.
pub(super) fn open(
    directory: DataDirectory,
    completions: UnboundedSender<Completion>,
) -> Result<(Identity, Stored, Storage), DataError> {
    let identity = directory.identity()?;
    let log_path = directory.log_path();
    let (mut log, cluster, raft) = file_backend(&log_path).and_then(LogStore::open).map_err(|error| {
        data_error(log_path, error, |path, source| DataError::DamagedLog { path, source })
    })?;
    let (file, inventory) = BlockFile::open(directory.blocks_path())?;

    let (log_sender, log_queue) = channel();
    let (block_sender, block_queue) = channel();
    let file = Arc::new(file);
    let writer = file.clone();
    let log_completions = completions.clone();
    let unstarted = |source| DataError::Unwritable { path: directory.path().to_owned(), source };
    let threads = vec![
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_log(&mut log, &log_queue, &log_completions))
            .map_err(unstarted)?,
        thread::Builder::new()
            .name("blocks".to_owned())
            .spawn(move || write_blocks(&writer, &block_queue))
            .map_err(unstarted)?,
    ];
    let storage = Storage {
        log: Some(log_sender),
        blocks: Some(BlockAccess { file, writes: block_sender }),
        reads: Arc::new(Semaphore::new(READS_MAX)),
        completions,
        threads,
        _directory: directory,
    };
    Ok((identity, Stored { cluster, raft, blocks: inventory }, storage))
}

fn file_backend(path: &Path) -> Result<FileBackend, StorageError> {
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
    Ok(FileBackend::new(file)?)
}

/// Damage is told apart, because what to do about it depends on the store.
fn data_error(
    path: PathBuf,
    source: StorageError,
    damaged: impl FnOnce(PathBuf, StorageError) -> DataError,
) -> DataError {
    match source {
        StorageError::Damaged(_) => damaged(path, source),
        StorageError::Locked => DataError::InUse { path },
        _ => DataError::Storage { path, source },
    }
}

impl Storage {
    /// Answered with [`Completion::Persisted`] or [`Completion::StorageFailed`].
    pub fn persist(&self, persist: Persist) {
        // The thread ends only after it has told of a failure.
        let _ = self.log.as_ref().map(|log| log.send(persist));
    }

    pub fn blocks(&self) -> Option<&BlockAccess> {
        self.blocks.as_ref()
    }

    /// Answered with [`Input::Block`], except for deletions.
    pub fn block(&self, operation: BlockOp) {
        let Some(blocks) = &self.blocks else { return };
        match operation {
            BlockOp::Put { ticket, name, bytes } => {
                let completions = self.completions.clone();
                blocks.put(name, bytes, move |result| {
                    let result = result.map(|()| BlockOutcome::Stored);
                    let _ = completions.send(Completion::Input(Input::Block { ticket, result }));
                });
            }
            BlockOp::Get { ticket, name, offset, bytes_max } => {
                let (blocks, completions) = (blocks.clone(), self.completions.clone());
                let reads = self.reads.clone();
                tokio::spawn(async move {
                    let _permit = reads.acquire_owned().await;
                    let read = tokio::task::spawn_blocking(move || blocks.get(name, offset, bytes_max)).await;
                    let result = read
                        .unwrap_or_else(|error| Err(BlockError::Failed(error.to_string())))
                        .map(|(bytes, total)| BlockOutcome::Data { bytes, total });
                    let _ = completions.send(Completion::Input(Input::Block { ticket, result }));
                });
            }
            BlockOp::Delete { names } => {
                let _ = blocks.writes.send(BlockWrite::Delete { names });
            }
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.log = None;
        self.blocks = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a storage thread panicked");
            }
        }
    }
}

impl BlockAccess {
    /// Blocks the calling thread.
    pub fn get(&self, name: BlockName, offset: u64, bytes_max: u32) -> Result<(Bytes, u64), BlockError> {
        self.file.with(|store| store.get(name, offset, bytes_max))
    }

    /// `answer` is called when the block is durable, on the thread that wrote it.
    pub fn put(
        &self,
        name: BlockName,
        bytes: Bytes,
        answer: impl FnOnce(Result<(), BlockError>) + Send + 'static,
    ) {
        let write = BlockWrite::Put { name, bytes, answer: Box::new(answer) };
        if let Err(unsent) = self.writes.send(write)
            && let BlockWrite::Put { answer, .. } = unsent.0
        {
            answer(Err(BlockError::Failed("the node is stopping".to_owned())));
        }
    }
}

impl BlockFile {
    fn open(path: PathBuf) -> Result<(BlockFile, BTreeMap<BlockName, u64>), DataError> {
        let (store, inventory) = file_backend(&path).and_then(BlockStore::open).map_err(|error| {
            data_error(path.clone(), error, |path, source| DataError::DamagedBlocks { path, source })
        })?;
        Ok((BlockFile { path, store: RwLock::new(Some(store)) }, inventory))
    }

    fn with<T>(&self, work: impl FnOnce(&BlockStore) -> Result<T, BlockError>) -> Result<T, BlockError> {
        let outcome = match &*self.store.read().unwrap_or_else(PoisonError::into_inner) {
            Some(store) => work(store),
            None => Err(BlockError::Failed("the store is not open".to_owned())),
        };
        if let Err(error @ (BlockError::Full | BlockError::Failed(_))) = &outcome {
            tracing::warn!(path = %self.path.display(), %error, "opening the blocks again");
            self.open_again();
        }
        outcome
    }

    fn open_again(&self) {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        // The file has one owner at a time: the former has to be gone first.
        *store = None;
        match file_backend(&self.path).and_then(BlockStore::open) {
            Ok((opened, _)) => *store = Some(opened),
            Err(error) => tracing::error!(path = %self.path.display(), %error, "the blocks cannot be opened"),
        }
    }
}

/// Writes whatever has gathered while the last sync was under way with the next one.
fn write_log(log: &mut LogStore, queue: &Receiver<Persist>, completions: &UnboundedSender<Completion>) {
    while let Ok(first) = queue.recv() {
        let group: Vec<Persist> =
            std::iter::once(first).chain(queue.try_iter().take(LOG_GROUP_MAX - 1)).collect();
        let Some(last) = group.last().map(|persist| persist.sequence) else { continue };
        if let Err(error) = log.apply(group.iter().flat_map(|persist| &persist.operations)) {
            let _ = completions.send(Completion::StorageFailed(error));
            return;
        }
        let _ = completions.send(Completion::Persisted(last));
    }
}

fn write_blocks(file: &BlockFile, queue: &Receiver<BlockWrite>) {
    let mut group: Vec<(BlockName, Bytes, Answer)> = Vec::new();
    let mut group_bytes = 0;
    loop {
        // Whoever waits for a group is answered before this thread waits for more.
        let next = match queue.try_recv() {
            Ok(next) => Some(next),
            Err(_) => {
                put_group(file, &mut group);
                group_bytes = 0;
                queue.recv().ok()
            }
        };
        match next {
            Some(BlockWrite::Put { name, bytes, answer }) => {
                group_bytes += bytes.len();
                group.push((name, bytes, answer));
            }
            Some(BlockWrite::Delete { names }) => {
                put_group(file, &mut group);
                group_bytes = 0;
                if let Err(error) = file.with(|store| store.delete(names)) {
                    tracing::warn!(%error, "blocks could not be removed");
                }
            }
            None => return,
        }
        if group_bytes >= BLOCK_GROUP_BYTES_MAX {
            put_group(file, &mut group);
            group_bytes = 0;
        }
    }
}

fn put_group(file: &BlockFile, group: &mut Vec<(BlockName, Bytes, Answer)>) {
    if group.is_empty() {
        return;
    }
    let bytes: u64 = group.iter().map(|(_, bytes, _)| bytes.len() as u64).sum();
    let together = match free_bytes(&file.path) {
        Some(free) if free < bytes.saturating_add(limits::DISK_SPARE_BYTES) => {
            return group.drain(..).for_each(|(_, _, answer)| answer(Err(BlockError::Full)));
        }
        _ => file.with(|store| store.put_all(group.iter().map(|(name, bytes, _)| (*name, bytes.as_ref())))),
    };
    let alone = group.len() == 1;
    for (name, bytes, answer) in group.drain(..) {
        match &together {
            // One that is bad must not take the others with it.
            Err(_) if !alone => answer(file.with(|store| store.put(name, &bytes))),
            result => answer(result.clone()),
        }
    }
}

/// What the file's disk has left for us. `None` where the system does not say: a full disk then shows when it is written to.
fn free_bytes(path: &Path) -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        let disk = rustix::fs::statvfs(path).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        None
    }
}
