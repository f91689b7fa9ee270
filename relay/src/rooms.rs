//! Which cluster owns which room: a small file in the relay's directory.

use shared::ids::{ClusterId, RoomName};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "rooms.json";

#[derive(Debug, Default)]
pub struct RoomRecords {
    /// `None`: kept in memory only.
    directory: Option<PathBuf>,
    rooms: BTreeMap<RoomName, ClusterId>,
}

#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read ({source}): mend it, or remove it and the relay asks its nodes again", path.display())]
pub struct RoomRecordsError {
    path: PathBuf,
    source: io::Error,
}

impl RoomRecords {
    /// Records that end with the process.
    pub fn in_memory() -> RoomRecords {
        RoomRecords::default()
    }

    pub fn open(directory: &Path) -> Result<RoomRecords, RoomRecordsError> {
        let path = directory.join(FILE_NAME);
        let rooms = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        };
        match rooms {
            Ok(rooms) => Ok(RoomRecords { directory: Some(directory.to_owned()), rooms }),
            Err(source) => Err(RoomRecordsError { path, source }),
        }
    }

    pub fn all(&self) -> Vec<(RoomName, ClusterId)> {
        self.rooms.iter().map(|(room, cluster)| (room.clone(), *cluster)).collect()
    }

    /// Durable when it returns; as it was, if it fails.
    pub fn insert(&mut self, room: RoomName, cluster: ClusterId) -> io::Result<()> {
        let mut rooms = self.rooms.clone();
        rooms.insert(room, cluster);
        if let Some(directory) = &self.directory {
            let text = serde_json::to_vec_pretty(&rooms)?;
            crate::driver::data_directory::replace_file(directory, FILE_NAME, &text)?;
        }
        self.rooms = rooms;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut records = RoomRecords::open(directory.path()).unwrap();
        let cluster = ClusterId::from_bytes([4; 10]);
        records.insert(RoomName::default(), cluster).unwrap();
        records.insert("attic".parse().unwrap(), cluster).unwrap();
        let found = RoomRecords::open(directory.path()).unwrap().all();
        assert_eq!(found, [("attic".parse().unwrap(), cluster), (RoomName::default(), cluster)]);
    }

    #[test]
    fn a_file_that_is_no_record_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE_NAME), "[1, 2").unwrap();
        let error = RoomRecords::open(directory.path()).expect_err("no records");
        assert!(error.to_string().contains(FILE_NAME), "{error}");
    }
}
