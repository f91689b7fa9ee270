//! Files of the browser's private file system (OPFS) as disks for `shared::storage`.

use js_sys::Reflect;
use redb::StorageBackend;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use wasm_bindgen::prelude::*;
use web_sys::{DomException, FileSystemReadWriteOptions, FileSystemSyncAccessHandle};

thread_local! {
    /// The open files of this worker. A disk that redb may own has to be `Send`, and a handle of the browser is not; so the
    /// disk is a number, and only the worker that opened the file finds it here.
    static OPEN: RefCell<BTreeMap<u64, FileSystemSyncAccessHandle>> = const { RefCell::new(BTreeMap::new()) };
}

/// An open file, closed when this is dropped. No other tab or worker can open it meanwhile.
#[derive(Debug)]
pub struct OpfsFile {
    number: u64,
}

/// The file as redb sees it. It may be handed out again after an earlier one is done.
#[derive(Debug)]
pub struct OpfsBackend {
    number: u64,
}

impl OpfsFile {
    pub fn new(handle: FileSystemSyncAccessHandle) -> OpfsFile {
        OPEN.with_borrow_mut(|open| {
            let number = open.last_key_value().map_or(0, |(last, _)| last + 1);
            open.insert(number, handle);
            OpfsFile { number }
        })
    }

    pub fn backend(&self) -> OpfsBackend {
        OpfsBackend { number: self.number }
    }

    pub fn bytes(&self) -> Result<u64, io::Error> {
        self.backend().len()
    }

    /// The whole content, for small files.
    pub fn read_all(&self) -> Result<Vec<u8>, io::Error> {
        let mut bytes = vec![0; usize::try_from(self.bytes()?).map_err(|_| io::ErrorKind::FileTooLarge)?];
        self.backend().read(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Replaces the content and makes it durable.
    pub fn write_all(&self, bytes: &[u8]) -> Result<(), io::Error> {
        let backend = self.backend();
        backend.set_len(bytes.len() as u64)?;
        backend.write(0, bytes)?;
        backend.sync_data()
    }

    pub fn clear(&self) -> Result<(), io::Error> {
        self.write_all(&[])
    }
}

impl Drop for OpfsFile {
    fn drop(&mut self) {
        if let Some(handle) = OPEN.with_borrow_mut(|open| open.remove(&self.number)) {
            handle.close();
        }
    }
}

impl OpfsBackend {
    fn with<T>(
        &self,
        act: impl FnOnce(&FileSystemSyncAccessHandle) -> Result<T, JsValue>,
    ) -> Result<T, io::Error> {
        OPEN.with_borrow(|open| {
            let handle = open.get(&self.number).ok_or_else(|| io::Error::other("the file is closed"))?;
            act(handle).map_err(|error| io_error(&error))
        })
    }
}

impl StorageBackend for OpfsBackend {
    fn len(&self) -> Result<u64, io::Error> {
        self.with(|handle| Ok(handle.get_size()? as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let wanted = out.len();
        match self.with(|handle| handle.read_with_u8_array_and_options(out, &at(offset)))? {
            read if read as usize == wanted => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.with(|handle| handle.truncate_with_f64(len as f64))
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.with(|handle| handle.flush())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        match self.with(|handle| handle.write_with_u8_array_and_options(data, &at(offset)))? {
            written if written as usize == data.len() => Ok(()),
            // A file system writes less than it was given when it is full.
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

fn at(offset: u64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at(offset as f64);
    options
}

/// What the browser threw, as the kind of error that the stores tell apart.
pub fn io_error(thrown: &JsValue) -> io::Error {
    let kind = match thrown.dyn_ref::<DomException>().map(DomException::name).as_deref() {
        Some("QuotaExceededError") => io::ErrorKind::StorageFull,
        Some("NotFoundError") => io::ErrorKind::NotFound,
        Some("NoModificationAllowedError") => io::ErrorKind::ResourceBusy,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, text_of(thrown))
}

/// What was thrown, in words.
pub fn text_of(thrown: &JsValue) -> String {
    let message = Reflect::get(thrown, &"message".into()).ok().and_then(|message| message.as_string());
    message.unwrap_or_else(|| format!("{thrown:?}"))
}
