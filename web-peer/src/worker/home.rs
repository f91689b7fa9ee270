//! What a node has on disk, or in memory where a browser gives no disk: its key, its name, its log and its blocks.

use super::slots::{Directory, Slot, browser_domain, take_slot};
use super::storage::OpfsFile;
use crate::bridge::{Start, StoragePlace};
use redb::backends::InMemoryBackend;
use shared::ids::ClusterId;
use shared::limits;
use shared::node::{BlockName, Stored, friendly_name};
use shared::raft;
use shared::storage::{BlockStore, LogStore, StorageError};
use shared::wire::identity::Identity;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

const KEY_FILE: &str = "node.key";
const NAME_FILE: &str = "node.name";
const LOG_FILE: &str = "log.journal";
const BLOCKS_FILE: &str = "blocks.redb";

/// A node as its worker found it.
pub struct Home {
    pub identity: Identity,
    pub name: String,
    pub slot: u32,
    /// This browser's failure domain.
    pub domain: u64,
    /// It has been here before.
    pub returned: bool,
    pub stored: Stored,
    pub log: LogStore,
    pub blocks: BlockStore,
    pub files: Files,
    pub place: StoragePlace,
    pub remark: Option<String>,
}

/// What is closed and let go when the node ends. The order of the fields is the order in which that happens.
#[derive(Default)]
pub struct Files {
    _log: Option<OpfsFile>,
    /// Opened again after an error.
    pub blocks: Option<OpfsFile>,
    name: Option<OpfsFile>,
    _slot: Option<Slot>,
}

impl Files {
    /// A name outlives the tab. One that cannot be written lives as long as the tab.
    pub fn remember_name(&self, name: &str) {
        if let Some(file) = &self.name {
            let _only_a_name = file.write_all(name.as_bytes());
        }
    }
}

/// Why not even memory serves.
#[derive(Debug, thiserror::Error)]
#[error("the node cannot make a store: {0}")]
pub struct HomeError(#[from] StorageError);

/// Takes a free one of these slots and opens what is in it.
pub async fn open(start: &Start, slots: &Range<u32>, fresh_seed: [u8; 32]) -> Result<Home, HomeError> {
    let Some(slot) = take_slot(&start.room, slots, start.slot_before_reload).await else {
        return in_memory(start, fresh_seed, None, "this browser has no locks to tell its tabs apart");
    };
    let number = slot.number;
    match on_disk(start, &slot, fresh_seed).await {
        Ok(mut home) => {
            home.files._slot = Some(slot);
            Ok(home)
        }
        Err(error) => in_memory(start, fresh_seed, Some(slot), &error.to_string())
            .map(|home| Home { slot: number, ..home }),
    }
}

#[derive(Debug, thiserror::Error)]
enum DiskError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Store(#[from] StorageError),
}

async fn on_disk(start: &Start, slot: &Slot, fresh_seed: [u8; 32]) -> Result<Home, DiskError> {
    let directory = Directory::of_slot(&start.room, slot).await?;
    let domain = browser_domain(first_bytes(&fresh_seed)).await?;
    let (key, name) = (directory.open(KEY_FILE).await?, directory.open(NAME_FILE).await?);
    let (log_file, block_file) = (directory.open(LOG_FILE).await?, directory.open(BLOCKS_FILE).await?);
    let Consensus { identity, log, cluster, raft, returned, remark } = open_log(&key, &log_file, fresh_seed)?;
    let (blocks, inventory, damage) = open_blocks(&block_file)?;
    Ok(Home {
        name: name_for(start, &identity, name.read_all().ok()),
        identity,
        slot: slot.number,
        domain,
        returned,
        stored: Stored { cluster, raft, blocks: inventory },
        log,
        blocks,
        files: Files { _log: Some(log_file), blocks: Some(block_file), name: Some(name), _slot: None },
        place: StoragePlace::Disk { persistent: false },
        remark: remark.or(damage),
    })
}

struct Consensus {
    identity: Identity,
    log: LogStore,
    cluster: Option<ClusterId>,
    raft: raft::Stored,
    returned: bool,
    remark: Option<String>,
}

/// A node that has lost its log has forgotten its votes and what it acknowledged: it comes back under a new key, so under a
/// new id. The key is written last, so that a key without a log, or the other way round, is never mistaken for a node.
fn open_log(key: &OpfsFile, file: &OpfsFile, fresh_seed: [u8; 32]) -> Result<Consensus, DiskError> {
    let seed: Option<[u8; 32]> = key.read_all()?.try_into().ok();
    let mut remark = None;
    if let Some(seed) = seed {
        let lost = match file.bytes()? {
            0 => "This tab's log is gone".to_owned(),
            _ => match LogStore::open(file.backend()) {
                Ok((log, cluster, raft)) => {
                    let identity = Identity::from_seed(seed);
                    return Ok(Consensus { identity, log, cluster, raft, returned: true, remark: None });
                }
                Err(StorageError::Damaged(what)) => format!("This tab's log was damaged ({what})"),
                Err(other) => return Err(other.into()),
            },
        };
        remark = Some(format!("{lost}: it has joined as a new node."));
    }
    key.clear()?;
    file.clear()?;
    let (log, cluster, raft) = LogStore::open(file.backend())?;
    let identity = Identity::from_seed(fresh_seed);
    key.write_all(&identity.seed())?;
    Ok(Consensus { identity, log, cluster, raft, returned: false, remark })
}

type Inventory = BTreeMap<BlockName, u64>;

/// Blocks that were damaged are as good as lost, and the cluster has other copies.
fn open_blocks(file: &OpfsFile) -> Result<(BlockStore, Inventory, Option<String>), DiskError> {
    match BlockStore::open(file.backend()) {
        Ok((store, inventory)) => Ok((store, inventory, None)),
        Err(StorageError::Damaged(what)) => {
            file.clear()?;
            let (store, inventory) = BlockStore::open(file.backend())?;
            let remark = format!("The texts this tab held were damaged ({what}) and have been dropped.");
            Ok((store, inventory, Some(remark)))
        }
        Err(other) => Err(other.into()),
    }
}

fn in_memory(
    start: &Start,
    fresh_seed: [u8; 32],
    slot: Option<Slot>,
    reason: &str,
) -> Result<Home, HomeError> {
    let identity = Identity::from_seed(fresh_seed);
    let (log, cluster, raft) = LogStore::open(InMemoryBackend::new())?;
    let (blocks, inventory) = BlockStore::open(InMemoryBackend::new())?;
    Ok(Home {
        name: name_for(start, &identity, None),
        slot: 0,
        domain: u64::from_le_bytes(first_bytes(&fresh_seed)),
        returned: false,
        stored: Stored { cluster, raft, blocks: inventory },
        log,
        blocks,
        files: Files { _slot: slot, ..Files::default() },
        place: StoragePlace::Memory { reason: reason.to_owned() },
        remark: None,
        identity,
    })
}

fn name_for(start: &Start, identity: &Identity, remembered: Option<Vec<u8>>) -> String {
    let remembered = remembered.and_then(|bytes| String::from_utf8(bytes).ok());
    let wanted = start.name.clone().or(remembered);
    wanted.filter(|name| is_name(name)).unwrap_or_else(|| friendly_name(identity.id()))
}

/// Whether others would accept this as a member's name.
pub fn is_name(name: &str) -> bool {
    !name.trim().is_empty()
        && name.len() <= limits::MEMBER_NAME_BYTES_MAX
        && !name.chars().any(char::is_control)
}

/// A domain need not be secret, only different elsewhere; the seed itself must stay here, so it is hashed.
fn first_bytes(seed: &[u8; 32]) -> [u8; 8] {
    let hash = shared::ids::Hash::of(seed);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.as_bytes()[..8]);
    bytes
}
