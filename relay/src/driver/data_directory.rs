//! A node's directory: its key, its stores, and the lock that keeps a second process out.

use super::RelayAddress;
use super::random_bytes;
use shared::storage::StorageError;
use shared::wire::identity::Identity;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const LOCK_FILE: &str = "LOCK";
const KEY_FILE: &str = "node.key";
const LOG_FILE: &str = "log.journal";
/// What earlier versions kept the log in.
const FORMER_LOG_FILE: &str = "log.redb";
const BLOCKS_FILE: &str = "blocks.redb";

/// Nodes of one user in one room of one relay, on one machine, that were not told where to keep their data.
const SLOTS_MAX: u32 = 64;

/// A directory that belongs to this process as long as the value lives.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

/// Why a directory cannot hold a node's data.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("{} cannot be written: {source}; choose another data directory", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("{} is in use by another process: stop it, or choose another data directory", path.display())]
    InUse { path: PathBuf },
    #[error("{} is no node key: restore it, or choose another data directory", path.display())]
    BadKey { path: PathBuf },
    #[error("{} has a log but no {KEY_FILE}: restore the key, or choose another data directory", path.display())]
    KeyMissing { path: PathBuf },
    #[error(
        "{} was written by an earlier version of wordraft: use that version, or remove this file and the node joins anew",
        path.display()
    )]
    FormerLog { path: PathBuf },
    #[error("{}: {source}; remove this file and the node joins anew, under a new id", path.display())]
    DamagedLog { path: PathBuf, source: StorageError },
    #[error("{}: {source}; remove this file and the node fetches its blocks from the others", path.display())]
    DamagedBlocks { path: PathBuf, source: StorageError },
    #[error("{}: {source}", path.display())]
    Storage { path: PathBuf, source: StorageError },
    #[error("this system has no directory for a user's data: name one with --data")]
    NoHome,
    #[error("all {SLOTS_MAX} slots in {} are in use: name a directory with --data", path.display())]
    NoFreeSlot { path: PathBuf },
}

impl DataDirectory {
    /// Opens the directory, making it where there is none, and locks it.
    pub fn open(path: &Path) -> Result<DataDirectory, DataError> {
        let unwritable = |source| DataError::Unwritable { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(unwritable)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK_FILE));
        let lock = lock.map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => Ok(DataDirectory { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unwritable(source)),
        }
    }

    /// The first directory for this room of this relay that no other process uses.
    pub fn open_free_slot(relay: &RelayAddress) -> Result<DataDirectory, DataError> {
        let parent = user_directory()?.join(relay.directory_name());
        for number in 1..=SLOTS_MAX {
            match DataDirectory::open(&parent.join(format!("slot-{number}"))) {
                Err(DataError::InUse { .. }) => {}
                other => return other,
            }
        }
        Err(DataError::NoFreeSlot { path: parent })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.path.join(LOG_FILE)
    }

    pub(super) fn blocks_path(&self) -> PathBuf {
        self.path.join(BLOCKS_FILE)
    }

    /// The node's key, made on the first start. A node whose log was lost has forgotten its votes and what it acknowledged:
    /// it comes back under a new key, so under a new id.
    pub(super) fn identity(&self) -> Result<Identity, DataError> {
        let former_log = self.path.join(FORMER_LOG_FILE);
        if former_log.exists() {
            return Err(DataError::FormerLog { path: former_log });
        }
        let path = self.path.join(KEY_FILE);
        let has_log = fs::metadata(self.log_path()).is_ok_and(|file| file.len() > 0);
        match fs::read(&path) {
            Ok(seed) if has_log => match seed.try_into() {
                Ok(seed) => Ok(Identity::from_seed(seed)),
                Err(_) => Err(DataError::BadKey { path }),
            },
            Ok(_) => {
                tracing::warn!(directory = %self.path.display(), "the log is gone: the node joins under a new id");
                self.new_identity()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => match has_log {
                true => Err(DataError::KeyMissing { path: self.path.clone() }),
                false => self.new_identity(),
            },
            Err(source) => Err(DataError::Unwritable { path, source }),
        }
    }

    fn new_identity(&self) -> Result<Identity, DataError> {
        let identity = Identity::from_seed(random_bytes());
        replace_file(&self.path, KEY_FILE, &identity.seed())
            .map_err(|source| DataError::Unwritable { path: self.path.join(KEY_FILE), source })?;
        Ok(identity)
    }
}

/// Where this program keeps a user's data.
pub fn user_directory() -> Result<PathBuf, DataError> {
    use etcetera::BaseStrategy as _;
    let strategy = etcetera::choose_base_strategy().map_err(|_| DataError::NoHome)?;
    Ok(strategy.data_dir().join("wordraft"))
}

/// Writes a small file that only its owner reads, at once or not at all, and durably.
pub(crate) fn replace_file(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!("{name}.new"));
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, directory.join(name))?;
    // A rename is durable once the directory is; elsewhere directories cannot be opened.
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_of_an_earlier_version_is_not_passed_over() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(temporary.path()).unwrap();
        fs::write(temporary.path().join("log.redb"), "a log").unwrap();
        let error = directory.identity().expect_err("another format");
        assert!(matches!(&error, DataError::FormerLog { .. }), "{error}");
        assert!(error.to_string().contains("log.redb"), "{error}");
    }

    #[test]
    fn a_directory_belongs_to_one_process_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep/down");
        let first = DataDirectory::open(&path).unwrap();
        assert!(matches!(DataDirectory::open(&path), Err(DataError::InUse { .. })));
        drop(first);
        assert!(DataDirectory::open(&path).is_ok());
    }

    #[test]
    fn a_place_that_is_no_directory_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        let error = DataDirectory::open(&file.join("node")).expect_err("a file in the way");
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }

    #[test]
    fn the_key_stays_as_long_as_the_log_does() {
        let parent = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(parent.path()).unwrap();
        let first = directory.identity().unwrap().id();
        fs::write(directory.log_path(), "a log").unwrap();
        assert_eq!(directory.identity().unwrap().id(), first);
        fs::remove_file(directory.log_path()).unwrap();
        assert_ne!(directory.identity().unwrap().id(), first, "storage was lost");
    }

    #[test]
    fn a_log_without_its_key_and_a_bad_key_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(parent.path()).unwrap();
        fs::write(directory.log_path(), "a log").unwrap();
        assert!(matches!(directory.identity(), Err(DataError::KeyMissing { .. })));
        fs::write(parent.path().join(KEY_FILE), "short").unwrap();
        assert!(matches!(directory.identity(), Err(DataError::BadKey { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        DataDirectory::open(parent.path()).unwrap().identity().unwrap();
        let mode = fs::metadata(parent.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
