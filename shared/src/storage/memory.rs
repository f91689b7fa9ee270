//! A disk in memory that behaves as badly as a real one: what was not synced may be lost, kept or torn by a crash.

use crate::rng::Rng;
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A write never reaches a real disk in smaller parts than this.
const SECTOR_BYTES: usize = 512;

/// A simulated disk with one file. It outlives the backends that it hands out, as a disk outlives processes.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<Platter>>);

/// A disk as one process sees it. After a crash it answers errors only.
#[derive(Debug)]
pub struct MemoryBackend {
    disk: MemoryDisk,
    boot: u64,
}

#[derive(Debug, Default)]
struct Platter {
    /// What would be read after a crash that loses every unsynced write.
    durable: Vec<u8>,
    /// What a process reads now.
    current: Vec<u8>,
    unsynced: Vec<Write>,
    bytes_max: Option<u64>,
    /// How many more syncs succeed.
    syncs_left: Option<u64>,
    boot: u64,
    syncs: u64,
}

#[derive(Debug)]
enum Write {
    Bytes { offset: u64, bytes: Vec<u8> },
    Length(u64),
}

impl MemoryDisk {
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// A new process opens the file.
    pub fn backend(&self) -> MemoryBackend {
        MemoryBackend { disk: self.clone(), boot: self.platter().boot }
    }

    /// The power goes: each unsynced write is kept, lost or torn, independently, as `rng` decides.
    pub fn crash(&self, rng: &mut Rng) {
        let mut platter = self.platter();
        let mut survivor = std::mem::take(&mut platter.durable);
        for write in std::mem::take(&mut platter.unsynced) {
            match rng.below(3) {
                0 => {}
                1 => write.carry_out(&mut survivor),
                _ => write.torn(rng).iter().for_each(|part| part.carry_out(&mut survivor)),
            }
        }
        platter.current = survivor.clone();
        platter.durable = survivor;
        platter.syncs_left = None;
        platter.boot += 1;
    }

    /// Refuses to grow beyond this from now on.
    pub fn limit(&self, bytes_max: u64) {
        self.platter().bytes_max = Some(bytes_max);
    }

    /// Syncs fail from now on, until the next crash: what is written is on its way and no more.
    pub fn stall_syncs(&self) {
        self.fail_syncs_after(0);
    }

    /// The same, after some more that succeed.
    pub fn fail_syncs_after(&self, syncs: u64) {
        self.platter().syncs_left = Some(syncs);
    }

    /// Turns a bit over, as a dying disk does.
    pub fn flip_bit(&self, byte: usize, bit: u8) {
        let mut platter = self.platter();
        for image in [true, false] {
            let bytes = if image { &mut platter.durable } else { &mut platter.current };
            if let Some(byte) = bytes.get_mut(byte) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// Where `needle` stands in what is durable.
    pub fn find(&self, needle: &[u8]) -> Option<usize> {
        self.platter().durable.windows(needle.len()).position(|window| window == needle)
    }

    pub fn bytes(&self) -> usize {
        self.platter().current.len()
    }

    /// Syncs so far: what durability cost.
    pub fn syncs(&self) -> u64 {
        self.platter().syncs
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write {
    fn carry_out(&self, image: &mut Vec<u8>) {
        match self {
            Write::Length(length) => image.resize(*length as usize, 0),
            Write::Bytes { offset, bytes } => {
                let start = *offset as usize;
                let end = start + bytes.len();
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[start..end].copy_from_slice(bytes);
            }
        }
    }

    /// The parts of it that reached the disk: any of the sectors that it touches.
    fn torn(self, rng: &mut Rng) -> Vec<Write> {
        let Write::Bytes { offset, bytes } = self else { return vec![self] };
        let first = SECTOR_BYTES - offset as usize % SECTOR_BYTES;
        let (first, rest) = bytes.split_at(first.min(bytes.len()));
        let mut at = offset;
        let mut parts = Vec::new();
        for sector in std::iter::once(first).chain(rest.chunks(SECTOR_BYTES)) {
            if rng.below(4) > 0 {
                parts.push(Write::Bytes { offset: at, bytes: sector.to_vec() });
            }
            at += sector.len() as u64;
        }
        parts
    }
}

impl MemoryBackend {
    fn platter(&self) -> Result<MutexGuard<'_, Platter>, io::Error> {
        let platter = self.disk.platter();
        if platter.boot != self.boot {
            return Err(io::Error::other("the process that opened this file is gone"));
        }
        Ok(platter)
    }
}

impl Platter {
    fn write(&mut self, write: Write) -> Result<(), io::Error> {
        let length = match &write {
            Write::Length(length) => *length,
            Write::Bytes { offset, bytes } => offset + bytes.len() as u64,
        };
        if self.bytes_max.is_some_and(|bytes_max| length > bytes_max) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        write.carry_out(&mut self.current);
        self.unsynced.push(write);
        Ok(())
    }
}

impl StorageBackend for MemoryBackend {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.platter()?.current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let platter = self.platter()?;
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(platter.current.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.platter()?.write(Write::Length(len))
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut platter = self.platter()?;
        let platter = &mut *platter;
        match &mut platter.syncs_left {
            Some(0) => return Err(io::Error::other("the disk does not answer")),
            Some(left) => *left -= 1,
            None => {}
        }
        for write in platter.unsynced.drain(..) {
            write.carry_out(&mut platter.durable);
        }
        platter.syncs += 1;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.platter()?.write(Write::Bytes { offset, bytes: data.to_vec() })
    }
}
