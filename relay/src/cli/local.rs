//! Counting in this process, on all cores, without a cluster.

use super::failure::Failure;
use super::input::Input;
use indicatif::ProgressBar;
use shared::words::{CountError, Edges, Lane, Mode, Seam, Table};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread::ScopedJoinHandle;

/// How much of a text a thread is given at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Pieces that wait for a thread, for each thread.
const PIECES_WAITING: usize = 2;

/// A piece of a text, and its place in it.
struct Piece {
    index: u64,
    bytes: Vec<u8>,
}

/// Counts the words of all inputs together. Words do not go on from one input to the next.
pub fn count(
    mode: Mode,
    inputs: &[Input],
    threads: NonZeroUsize,
    progress: &ProgressBar,
) -> Result<Table, Failure> {
    let mut lanes: Vec<Lane> = (0..threads.get()).map(|_| Lane::new(mode)).collect();
    let mut seams = Vec::with_capacity(inputs.len());
    for input in inputs {
        seams.push(count_input(mode, input, &mut lanes, progress)?);
    }
    let mut tables: Vec<Table> = seams.into_iter().map(|seam| seam.finish(Vec::new())).collect();
    tables.push(Seam::new(mode).finish(lanes));
    Ok(Table::merge(mode, &tables))
}

fn count_input(
    mode: Mode,
    input: &Input,
    lanes: &mut [Lane],
    progress: &ProgressBar,
) -> Result<Seam, Failure> {
    let mut source = input.open()?;
    let (full, pieces) = mpsc::sync_channel(lanes.len() * PIECES_WAITING);
    let (empty, emptied) = mpsc::channel();
    // The threads alone hold on to it: when the last of them ends, reading ends too.
    let pieces = Arc::new(Mutex::new(pieces));
    let joint = Mutex::new(Joint { seam: Seam::new(mode), error: None });
    let (read, has_stopped) = std::thread::scope(|scope| {
        let counts = |lane| {
            let (pieces, joint, empty) = (pieces.clone(), &joint, empty.clone());
            scope.spawn(move || count_pieces(lane, &pieces, joint, &empty))
        };
        let threads: Vec<ScopedJoinHandle<()>> = lanes.iter_mut().map(counts).collect();
        drop((pieces, empty));
        let read = read_pieces(&mut *source, full, &emptied, progress);
        let stopped: Vec<bool> = threads.into_iter().map(|thread| thread.join().is_err()).collect();
        (read, stopped.contains(&true))
    });
    read.map_err(|error| Failure::input(input.name(), &error))?;
    let joint = joint.into_inner().ok().filter(|_| !has_stopped);
    let joint = joint.ok_or_else(|| Failure::failed("a counting thread stopped"))?;
    match joint.error {
        Some(error) => Err(Failure::failed(format!("{} cannot be counted: {error}", input.name()))),
        None => Ok(joint.seam),
    }
}

/// Where the edges of all pieces come together, whichever thread counted them.
struct Joint {
    seam: Seam,
    error: Option<CountError>,
}

impl Joint {
    fn add(&mut self, index: u64, edges: Result<Edges, CountError>) {
        if self.error.is_none() {
            self.error = edges.and_then(|edges| self.seam.add(index, edges)).err();
        }
    }

    fn has_failed(&self) -> bool {
        self.error.is_some()
    }
}

/// Ends when there are no more pieces, or when the text turned out not to be countable.
fn count_pieces(
    lane: &mut Lane,
    pieces: &Mutex<Receiver<Piece>>,
    joint: &Mutex<Joint>,
    empty: &Sender<Vec<u8>>,
) {
    loop {
        let next = pieces.lock().ok().and_then(|pieces| pieces.recv().ok());
        let Some(Piece { index, bytes }) = next else { return };
        let edges = lane.count(&bytes);
        let Ok(mut joint) = joint.lock() else { return };
        joint.add(index, edges);
        if joint.has_failed() {
            return;
        }
        drop(joint);
        // When the text has been read, nobody takes buffers back.
        let _all_read = empty.send(bytes);
    }
}

fn read_pieces(
    source: &mut dyn Read,
    full: SyncSender<Piece>,
    emptied: &Receiver<Vec<u8>>,
    progress: &ProgressBar,
) -> io::Result<()> {
    for index in 0.. {
        let mut bytes = emptied.try_recv().unwrap_or_default();
        bytes.clear();
        let read = source.take(PIECE_BYTES as u64).read_to_end(&mut bytes)?;
        if read == 0 {
            break;
        }
        progress.inc(read as u64);
        if full.send(Piece { index, bytes }).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::limits::OPEN_EDGE_BYTES_MAX;
    use shared::words::count_all;

    fn count_texts(mode: Mode, texts: &[&[u8]], threads: usize) -> Table {
        let directory = tempfile::tempdir().unwrap();
        let inputs: Vec<Input> = (texts.iter().enumerate())
            .map(|(number, text)| {
                let path = directory.path().join(number.to_string());
                std::fs::write(&path, text).unwrap();
                Input::new(path)
            })
            .collect();
        count(mode, &inputs, NonZeroUsize::new(threads).unwrap(), &ProgressBar::hidden()).unwrap()
    }

    #[test]
    fn many_threads_count_what_one_counts() {
        let text = "Ein Text, naïvely cut anywhere; e.g. here\u{2028}or 3,4 there\r\n".repeat(100_000);
        for mode in Mode::ALL {
            let whole = count_all(mode, [text.as_bytes()]).unwrap();
            for threads in [1, 2, 7] {
                assert_eq!(count_texts(mode, &[text.as_bytes()], threads), whole, "{mode} on {threads}");
            }
        }
    }

    /// The rest is more than the threads and the way to them have room for.
    #[test]
    fn a_text_that_cannot_be_counted_ends_the_count() {
        let text = tempfile::NamedTempFile::new().unwrap();
        text.as_file().set_len(OPEN_EDGE_BYTES_MAX as u64 + 16 * PIECE_BYTES as u64).unwrap();
        let input = Input::new(text.path().to_owned());
        let (ended, has_ended) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lanes = [Lane::new(Mode::Whitespace), Lane::new(Mode::Whitespace)];
            let counted = count_input(Mode::Whitespace, &input, &mut lanes, &ProgressBar::hidden());
            ended.send(counted.map(drop)).unwrap();
        });
        let counted = has_ended.recv_timeout(std::time::Duration::from_secs(60)).expect("the count ends");
        assert!(counted.unwrap_err().to_string().contains("cannot be counted"));
    }

    #[test]
    fn a_word_ends_with_its_file() {
        let table = count_texts(Mode::Unicode, &[b"some", b"thing", b""], 2);
        assert_eq!((table.totals().total, table.totals().unique, table.totals().bytes), (2, 2, 9));
    }

    #[test]
    fn a_word_longer_than_many_pieces_is_one_word() {
        let word = vec![b'x'; 5 * PIECE_BYTES + 1];
        for mode in Mode::ALL {
            let totals = count_texts(mode, &[&word], 3).totals();
            assert_eq!((totals.total, totals.bytes), (1, word.len() as u64), "{mode}");
        }
    }
}
