//! A file of records that only grows, until a new *generation* of it takes the place of all that was there.
//!
//! ```text
//! slot A | slot B | … | generation: record record record | zeros
//! ```
//!
//! An append is one write at the end and one sync. A new generation is written where the present one is not, synced, and then
//! named by a slot; whichever slot is valid and newest says where the log is. Once what is behind it is zero, both slots call
//! it settled, and records are appended. So three endings can be told apart when the file is opened:
//!
//! * nothing: the log ends here;
//! * a record of which sectors are missing: the power went before its sync, so nobody was told that it is durable;
//! * a record that is all there and does not match its checksum, or one that another follows: it had been acknowledged, and
//!   has rotted. Consensus must not go on without it ("Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018, §3.3).

use super::StorageError;
use redb::StorageBackend;
use std::io;

/// Layout of slots and records. A file of another layout is refused, not guessed at.
const FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"wordraft";

/// In different blocks of the file system.
const SLOTS: [u64; 2] = [0, 4096];
const SLOT_BYTES: usize = 41;

/// A disk writes a sector as a whole or not at all.
const SECTOR: u64 = 512;

/// Where records may begin.
const FRONT: u64 = 8192;

/// Length of the body, check of the length, checksum of the body.
const HEADER_BYTES: usize = 16;

/// What fills a record up: at least one, so that a record whose end is missing shows.
const FILL: u8 = 0xA5;
const ALIGNMENT: u64 = 8;

/// The file grows by so many zeros: a file system syncs what takes the place of something else with less ado than what
/// has no place yet. 4 KB in 135 µs instead of 205, on ext4.
const GROWTH: u64 = 256 << 10;

/// Memory for a record that is kept for the next.
const RECORD_BYTES_KEPT: usize = 1 << 20;

/// How much is read at a time.
const WINDOW_BYTES: u64 = 256 << 10;

#[derive(Debug)]
pub(super) struct Journal {
    file: Box<dyn StorageBackend>,
    live: Generation,
    /// Where the next record goes.
    tail: u64,
    /// Of the file.
    length: u64,
    record: Vec<u8>,
    /// A write or sync has failed: what the file holds is known again only after it was opened anew.
    failed: bool,
}

/// What a slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Generation {
    number: u64,
    start: u64,
    /// The end of what it began with: all of that was durable before a slot named it.
    founded: u64,
    /// What was behind it is gone: only from then on is anything appended.
    settled: bool,
}

/// Why there is no record at some place.
enum NoRecord {
    /// Nothing was ever written there, or not all of it.
    Unwritten,
    /// A new generation was begun there that no slot names.
    OfNext,
    Rotten,
}

impl Journal {
    /// Opens the file and shows each record to `see`, in order. An empty file becomes a journal that begins with `first`.
    pub fn open(
        file: impl StorageBackend,
        first: &[u8],
        see: impl FnMut(&[u8]) -> Result<(), StorageError>,
    ) -> Result<Journal, StorageError> {
        let length = file.len()?;
        let slots = read_slots(&file, length)?;
        let newest = slots.iter().flatten().max().copied();
        let live = newest.unwrap_or(Generation { number: 0, start: FRONT, founded: FRONT, settled: false });
        let mut journal = Journal {
            file: Box::new(file),
            live,
            tail: live.founded,
            length,
            record: Vec::new(),
            failed: false,
        };
        if newest.is_none() {
            journal.refuse_remains(FRONT + record_bytes(first))?;
            journal.rewrite([first])?;
            journal.replay(see)?;
            return Ok(journal);
        }
        let (last, end) = journal.read(see)?;
        journal.write_again(last, end)?;
        journal.settle(end)?;
        Ok(journal)
    }

    /// Adds a record and makes it durable.
    pub fn append(&mut self, body: &[u8]) -> Result<(), StorageError> {
        self.guarded(|journal| {
            let end = journal.write_record(journal.live.number, journal.tail, body)?;
            journal.file.sync_data()?;
            journal.tail = end;
            Ok(())
        })
    }

    /// Replaces all records by these. After a crash there are either the former ones or these.
    pub fn rewrite<'a, T>(&mut self, records: T) -> Result<(), StorageError>
    where
        T: IntoIterator<Item = &'a [u8]>,
        T::IntoIter: Clone,
    {
        let records = records.into_iter();
        let bytes: u64 = records.clone().map(record_bytes).sum();
        self.guarded(|journal| {
            let number = journal.live.number + 1;
            let start = if FRONT + bytes <= journal.live.start { FRONT } else { journal.tail };
            let mut founded = start;
            for body in records {
                founded = journal.write_record(number, founded, body)?;
            }
            journal.file.sync_data()?;
            journal.live = Generation { number, start, founded, settled: false };
            journal.write_slot(SLOTS[0])?;
            journal.settle(founded)
        })
    }

    /// Shows each record to `see` once more.
    pub fn replay(&mut self, see: impl FnMut(&[u8]) -> Result<(), StorageError>) -> Result<(), StorageError> {
        self.guarded(|journal| match journal.read(see)? {
            (_, end) if end == journal.tail => Ok(()),
            (_, end) => Err(damaged(end)),
        })
    }

    /// What was appended since the generation began, beside what it began with.
    pub fn growth(&self) -> (u64, u64) {
        (self.tail - self.live.founded, self.live.founded - self.live.start)
    }

    fn guarded(
        &mut self,
        work: impl FnOnce(&mut Journal) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        if self.failed {
            return Err(StorageError::Failed("an earlier write has failed: open the log again".to_owned()));
        }
        let result = work(self);
        self.failed = result.is_err();
        result
    }

    /// Makes all up to `tail` durable, and everything behind it zero; then both slots say so.
    fn settle(&mut self, tail: u64) -> Result<(), StorageError> {
        self.file.set_len(tail)?;
        self.length = tail;
        self.tail = tail;
        self.file.sync_data()?;
        self.live.settled = true;
        SLOTS.into_iter().try_for_each(|slot| self.write_slot(slot))
    }

    /// After a sync that failed, a system may show what the disk does not have, and take it for written. Only the last record
    /// can be such a one.
    fn write_again(&self, last: u64, end: u64) -> Result<(), StorageError> {
        let mut record = vec![0; (end - last) as usize];
        self.file.read(last, &mut record)?;
        Ok(self.file.write(last, &record)?)
    }

    /// A file without slots is new only if nobody has ever written to it, but for a record that was to be its first.
    fn refuse_remains(&self, from: u64) -> Result<(), StorageError> {
        let mut window = self.window();
        for at in (from..self.length).step_by(SECTOR as usize) {
            let sector = window.bytes(at, SECTOR.min(self.length - at))?.unwrap_or_default();
            if !is_blank(sector) {
                return Err(StorageError::Damaged("the front of the file is gone".to_owned()));
            }
        }
        Ok(())
    }

    fn window(&self) -> Window<'_> {
        Window { file: &*self.file, length: self.length, start: 0, bytes: Vec::new() }
    }

    fn write_slot(&self, at: u64) -> Result<(), StorageError> {
        self.file.write(at, &self.live.to_slot())?;
        Ok(self.file.sync_data()?)
    }

    /// Returns where it ends.
    fn write_record(&mut self, generation: u64, at: u64, body: &[u8]) -> Result<u64, StorageError> {
        let end = at + record_bytes(body);
        let grown = if end > self.length { end.next_multiple_of(GROWTH) } else { self.length };
        if grown > self.length {
            self.file.set_len(grown)?;
            self.length = grown;
            self.file.write(end, &vec![0; (grown - end) as usize])?;
        }
        let length = u32::try_from(body.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.record.clear();
        self.record.extend_from_slice(&header(generation, at, length, &checksum(generation, at, body)));
        self.record.extend_from_slice(body);
        self.record.resize((end - at) as usize, FILL);
        self.file.write(at, &self.record)?;
        self.record.shrink_to(RECORD_BYTES_KEPT);
        Ok(end)
    }

    /// Returns where the last record begins and ends.
    fn read(
        &self,
        mut see: impl FnMut(&[u8]) -> Result<(), StorageError>,
    ) -> Result<(u64, u64), StorageError> {
        let Generation { number, start, founded, settled } = self.live;
        let mut window = self.window();
        let (mut last, mut at) = (start, start);
        while at < founded || settled {
            match window.record(number, at)? {
                Ok(body) => {
                    see(body)?;
                    last = at;
                    at += record_bytes(body);
                    continue;
                }
                Err(NoRecord::OfNext) if at >= founded => break,
                Err(NoRecord::Unwritten) if at >= founded => {}
                Err(_) => return Err(damaged(at)),
            }
            match window.has_record_after(number, at)? {
                true => return Err(damaged(at)),
                false => break,
            }
        }
        Ok((last, at))
    }
}

impl Generation {
    fn to_slot(self) -> [u8; SLOT_BYTES] {
        let mut slot = [0; SLOT_BYTES];
        slot[..8].copy_from_slice(&MAGIC);
        slot[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        for (place, value) in slot[12..36].chunks_mut(8).zip([self.number, self.start, self.founded]) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        slot[36] = self.settled.into();
        let check = blake3::hash(&slot[..37]);
        slot[37..].copy_from_slice(&check.as_bytes()[..4]);
        slot
    }

    /// `None`: never written, torn, or rotten.
    fn from_slot(slot: [u8; SLOT_BYTES], length: u64) -> Result<Option<Generation>, StorageError> {
        let format = u32::from_le_bytes(take(&slot, 8));
        if slot[..8] == MAGIC && format != FORMAT {
            return Err(StorageError::OtherFormat { theirs: format.into(), ours: FORMAT.into() });
        }
        let [number, start, founded] = [12, 20, 28].map(|at| u64::from_le_bytes(take(&slot, at)));
        let generation = Generation { number, start, founded, settled: slot[36] == 1 };
        let is_sound = slot == generation.to_slot()
            && number < u64::MAX
            && FRONT <= start
            && start <= founded
            && founded <= length;
        Ok(is_sound.then_some(generation))
    }
}

fn read_slots(file: &impl StorageBackend, length: u64) -> Result<[Option<Generation>; 2], StorageError> {
    let mut slots = [None; 2];
    let mut are_blank = true;
    for (slot, at) in slots.iter_mut().zip(SLOTS) {
        let mut bytes = [0; SLOT_BYTES];
        let there = length.saturating_sub(at).min(SLOT_BYTES as u64) as usize;
        if there > 0 {
            file.read(at, &mut bytes[..there])?;
        }
        are_blank &= is_blank(&bytes);
        *slot = Generation::from_slot(bytes, length)?;
    }
    match slots {
        [None, None] if !are_blank => {
            Err(StorageError::Damaged("the file does not begin like a log".to_owned()))
        }
        _ => Ok(slots),
    }
}

/// A part of the file, read ahead.
struct Window<'a> {
    file: &'a dyn StorageBackend,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// `None` behind the end of the file.
    fn bytes(&mut self, at: u64, count: u64) -> Result<Option<&[u8]>, StorageError> {
        let Some(end) = at.checked_add(count).filter(|end| *end <= self.length) else { return Ok(None) };
        if at < self.start || end > self.start + self.bytes.len() as u64 {
            let ahead = count.max(WINDOW_BYTES).min(self.length - at);
            self.bytes.resize(ahead as usize, 0);
            self.start = at;
            self.file.read(at, &mut self.bytes)?;
        }
        let from = (at - self.start) as usize;
        Ok(Some(&self.bytes[from..from + count as usize]))
    }

    /// The body of the record at this place.
    fn record(&mut self, generation: u64, at: u64) -> Result<Result<&[u8], NoRecord>, StorageError> {
        let Some(found) = self.bytes(at, HEADER_BYTES as u64)? else { return Ok(Err(NoRecord::Unwritten)) };
        let (length, check) = (u32::from_le_bytes(take(found, 0)), take::<8>(found, 8));
        if found != header(generation, at, length, &check) {
            let is_of_next = found == header(generation + 1, at, length, &check);
            return Ok(Err(if is_of_next { NoRecord::OfNext } else { doubt(at, found) }));
        }
        let whole = (HEADER_BYTES as u64 + u64::from(length) + 1).next_multiple_of(ALIGNMENT);
        let Some(record) = self.bytes(at, whole)? else { return Ok(Err(NoRecord::Unwritten)) };
        let body = &record[HEADER_BYTES..HEADER_BYTES + length as usize];
        if checksum(generation, at, body) != check {
            return Ok(Err(doubt(at, record)));
        }
        // Not `body`: what is borrowed in one branch would be borrowed in all.
        Ok(Ok(&self.bytes[(at - self.start) as usize..][HEADER_BYTES..HEADER_BYTES + length as usize]))
    }

    /// A record was begun behind this place: what belongs here had been acknowledged by then.
    fn has_record_after(&mut self, generation: u64, at: u64) -> Result<bool, StorageError> {
        let mut at = at;
        loop {
            at += ALIGNMENT;
            let Some(found) = self.bytes(at, HEADER_BYTES as u64)? else { return Ok(false) };
            let length = u32::from_le_bytes(take(found, 0));
            if length != 0 && found == header(generation, at, length, &take(found, 8)) {
                return Ok(true);
            }
        }
    }
}

/// What bytes say that should have been a record, or the header of one: unless a sector of them was never written, they were
/// all there once.
fn doubt(at: u64, bytes: &[u8]) -> NoRecord {
    let first = (SECTOR - at % SECTOR).min(bytes.len() as u64) as usize;
    let (first, rest) = bytes.split_at(first);
    let is_cut_off = bytes.last() != Some(&FILL) && bytes.len() > HEADER_BYTES;
    if is_cut_off || is_blank(first) || rest.chunks(SECTOR as usize).any(is_blank) {
        NoRecord::Unwritten
    } else {
        NoRecord::Rotten
    }
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn record_bytes(body: &[u8]) -> u64 {
    (HEADER_BYTES as u64 + body.len() as u64 + 1).next_multiple_of(ALIGNMENT)
}

/// Its place goes into the check, so that a record of another generation, or one that turns up elsewhere, is none.
fn header(generation: u64, at: u64, length: u32, checksum: &[u8; 8]) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[8..].copy_from_slice(checksum);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&generation.to_le_bytes()).update(&at.to_le_bytes()).update(&header);
    header[4..8].copy_from_slice(&hasher.finalize().as_bytes()[..4]);
    header
}

fn checksum(generation: u64, at: u64, body: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&generation.to_le_bytes()).update(&at.to_le_bytes()).update(body);
    take(hasher.finalize().as_bytes(), 0)
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut taken = [0; N];
    taken.copy_from_slice(&bytes[at..at + N]);
    taken
}

fn damaged(at: u64) -> StorageError {
    StorageError::Damaged(format!("what it holds at byte {at} does not match its checksum"))
}
