//! Writes what a node is told into a file, on a thread of its own: a node waits for no recording.

use shared::limits;
use shared::node::{Input, Ready};
use shared::recording::{self, End, Recorder, Start, broken_off};
use shared::time::Time;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

/// Where a recording goes, and how large it may get.
#[derive(Clone, Debug)]
pub struct RecordingOptions {
    pub path: PathBuf,
    pub bytes_max: u64,
}

/// Why a recording does not begin.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error("{} is there already: choose another file for the recording, or delete it", path.display())]
    Exists { path: PathBuf },
    #[error("the recording cannot be written to {}: {source}", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("{0}: choose a larger --record-limit, or a node with less data")]
    Start(#[from] recording::StartError),
}

/// Dropped, it says that the node has stopped, and lets the disk finish.
#[derive(Debug)]
pub(super) struct Recording {
    path: PathBuf,
    recorder: Recorder,
    /// `None` once the recording has ended.
    queue: Option<Sender<Vec<u8>>>,
    waiting_bytes: Arc<AtomicUsize>,
    writer: Option<JoinHandle<()>>,
}

impl Recording {
    pub fn begin(options: RecordingOptions, start: &Start) -> Result<Recording, RecordingError> {
        let RecordingOptions { path, bytes_max } = options;
        let (recorder, beginning) = Recorder::begin(start, bytes_max)?;
        let unwritable = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => RecordingError::Exists { path: path.clone() },
            _ => RecordingError::Unwritable { path: path.clone(), source },
        };
        let mut file = create(&path).map_err(unwritable)?;
        file.write_all(&beginning).map_err(unwritable)?;
        let (queue, records) = channel();
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let mut writer = Writer {
            path: path.clone(),
            file,
            whole_bytes: beginning.len() as u64,
            waiting_bytes: waiting_bytes.clone(),
        };
        let writer =
            thread::Builder::new().name("recording".to_owned()).spawn(move || writer.write(&records));
        let writer = Some(writer.map_err(unwritable)?);
        Ok(Recording { path, recorder, queue: Some(queue), waiting_bytes, writer })
    }

    /// Before the node handles `input`.
    pub fn input(&mut self, at: Time, input: &Input) {
        if self.queue.is_none() {
            return;
        }
        let record = self.recorder.input(at, input);
        if self.recorder.has_ended() {
            self.leave(record, End::Limit);
        } else if self.waiting_bytes.load(Ordering::Relaxed) + record.len()
            > limits::RECORDING_QUEUE_BYTES_MAX
        {
            let end = self.recorder.end(End::DiskTooSlow);
            self.leave(end, End::DiskTooSlow);
        } else {
            self.write(record);
        }
    }

    /// After the node has handled it.
    pub fn output(&mut self, ready: &Ready) {
        if self.queue.is_some() {
            self.recorder.output(ready);
        }
    }

    fn leave(&mut self, end: Vec<u8>, why: End) {
        tracing::warn!(path = %self.path.display(), "the recording has ended: {why}");
        self.write(end);
        self.queue = None;
    }

    fn write(&mut self, record: Vec<u8>) {
        let Some(queue) = &self.queue else { return };
        self.waiting_bytes.fetch_add(record.len(), Ordering::Relaxed);
        // The thread ends early only when the file cannot be written, and says so itself.
        if queue.send(record).is_err() {
            self.queue = None;
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let end = self.recorder.end(End::NodeStopped);
        self.write(end);
        self.queue = None;
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::error!(path = %self.path.display(), "the recording was not closed in order");
        }
    }
}

/// Texts are in a recording: it is for its owner alone.
fn create(path: &std::path::Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create_new(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

struct Writer {
    path: PathBuf,
    file: File,
    /// Where the last whole record ends.
    whole_bytes: u64,
    waiting_bytes: Arc<AtomicUsize>,
}

impl Writer {
    fn write(&mut self, records: &Receiver<Vec<u8>>) {
        for record in records {
            if let Err(error) = self.file.write_all(&record) {
                let path = self.path.display();
                tracing::warn!(%path, "the recording has ended, and the node goes on: the file cannot be written: {error}");
                // What the half record took is room enough for the mark, unless the disk is gone altogether.
                let marked = self.file.set_len(self.whole_bytes);
                let _ = marked.and_then(|()| self.file.write_all(&broken_off(End::DiskFailed)));
                return;
            }
            self.whole_bytes += record.len() as u64;
            self.waiting_bytes.fetch_sub(record.len(), Ordering::Relaxed);
        }
    }
}
