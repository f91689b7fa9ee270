//! Identities of this browser in a room. A slot is a directory in OPFS, held by one tab at a time with a Web Lock: a
//! reloaded tab, or a new one after a closed one, takes up the lowest free slot and is that node started again.

use super::clock::{after, scope};
use super::storage::{OpfsFile, io_error, text_of};
use futures_channel::oneshot;
use js_sys::{Object, Promise, Reflect};
use shared::ids::RoomName;
use shared::time::Duration;
use std::io;
use std::ops::Range;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortSignal, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemSyncAccessHandle,
};

/// Tabs of one browser in one room.
pub const SLOTS_MAX: u32 = 64;

/// How long a reloaded tab waits for the lock that its former self held.
const RELOAD_MAX: Duration = Duration::from_millis(2000);

/// A file whose lock is free may stay open for a moment while its former worker is torn down.
const REOPEN_ATTEMPTS_MAX: u32 = 40;
const REOPEN_INTERVAL: Duration = Duration::from_millis(50);

#[wasm_bindgen]
extern "C" {
    // web-sys keeps its `LockManager` behind a flag for unstable interfaces.
    #[wasm_bindgen(js_namespace = ["navigator", "locks"], js_name = request, catch)]
    fn lock_request(name: &str, options: &JsValue, callback: &JsValue) -> Result<Promise, JsValue>;
}

/// A Web Lock, released when this is dropped or the worker ends in whatever way.
#[derive(Debug)]
pub struct Lock {
    release: js_sys::Function,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _cannot_fail = self.release.call0(&JsValue::NULL);
    }
}

/// How long to wait for a lock.
#[derive(Clone, Copy, Debug)]
pub enum Patience {
    None,
    AtMost(Duration),
}

/// Takes a lock. `None`: somebody else holds it, for as long as we were ready to wait.
pub async fn lock(name: &str, patience: Patience) -> Result<Option<Lock>, JsValue> {
    let options = Object::new();
    match patience {
        Patience::None => Reflect::set(&options, &"ifAvailable".into(), &JsValue::TRUE)?,
        Patience::AtMost(wait) => {
            let signal = AbortSignal::timeout_with_u32(u32::try_from(wait.as_millis()).unwrap_or(u32::MAX));
            Reflect::set(&options, &"signal".into(), &signal)?
        }
    };
    let (sender, receiver) = oneshot::channel();
    let callback = Closure::once(move |granted: JsValue| -> JsValue {
        if granted.is_null() {
            return JsValue::UNDEFINED;
        }
        let mut sender = Some(sender);
        // The browser holds the lock until this promise is resolved.
        Promise::new(&mut |release, _| {
            let _nobody_waits = sender.take().map(|sender| sender.send(Lock { release }));
        })
        .into()
    });
    let ended = JsFuture::from(lock_request(name, &options, callback.as_ref())?);
    // While the lock is held, its request does not end; without it, the sender is dropped unused.
    let refused = async { ended.await.is_ok() };
    let granted = futures_util::future::select(receiver, Box::pin(refused)).await;
    drop(callback);
    Ok(match granted {
        futures_util::future::Either::Left((lock, _)) => lock.ok(),
        futures_util::future::Either::Right(_) => None,
    })
}

/// A slot that belongs to this tab until it is dropped.
#[derive(Debug)]
pub struct Slot {
    pub number: u32,
    _lock: Lock,
}

/// Takes `preferred` if it comes free soon, else the lowest free one of these slots. `None`: there are none, or no locks.
pub async fn take_slot(room: &RoomName, slots: &Range<u32>, preferred: Option<u32>) -> Option<Slot> {
    if let Some(number) = preferred.filter(|number| slots.contains(number))
        && let Ok(Some(lock)) = lock(&lock_name(room, number), Patience::AtMost(RELOAD_MAX)).await
    {
        return Some(Slot { number, _lock: lock });
    }
    for number in slots.clone() {
        if let Some(lock) = lock(&lock_name(room, number), Patience::None).await.ok()? {
            return Some(Slot { number, _lock: lock });
        }
    }
    None
}

fn lock_name(room: &RoomName, slot: u32) -> String {
    format!("wordraft/{room}/slot-{slot}")
}

/// A directory of the origin's private file system.
#[derive(Clone, Debug)]
pub struct Directory(FileSystemDirectoryHandle);

impl Directory {
    /// Where everything of ours lives.
    pub async fn root() -> Result<Directory, io::Error> {
        let storage = scope().navigator().storage();
        if storage.is_undefined() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this browser keeps no private files"));
        }
        Directory(settled(storage.get_directory()).await?).directory("wordraft").await
    }

    /// The slot's directory.
    pub async fn of_slot(room: &RoomName, slot: &Slot) -> Result<Directory, io::Error> {
        let room = Directory::root().await?.directory(room.as_str()).await?;
        room.directory(&format!("slot-{}", slot.number)).await
    }

    async fn directory(&self, name: &str) -> Result<Directory, io::Error> {
        let options = FileSystemGetDirectoryOptions::new();
        options.set_create(true);
        settled(self.0.get_directory_handle_with_options(name, &options)).await.map(Directory)
    }

    /// Opens a file, and makes it where there is none.
    pub async fn open(&self, name: &str) -> Result<OpfsFile, io::Error> {
        let options = FileSystemGetFileOptions::new();
        options.set_create(true);
        let file: FileSystemFileHandle = settled(self.0.get_file_handle_with_options(name, &options)).await?;
        let mut attempt = 1;
        loop {
            match settled::<FileSystemSyncAccessHandle>(file.create_sync_access_handle()).await {
                Ok(handle) => return Ok(OpfsFile::new(handle)),
                Err(error)
                    if error.kind() != io::ErrorKind::ResourceBusy || attempt == REOPEN_ATTEMPTS_MAX =>
                {
                    return Err(error);
                }
                Err(_) => {
                    pause(REOPEN_INTERVAL).await;
                    attempt += 1;
                }
            }
        }
    }
}

/// A number that all tabs of this browser share, as members that die together.
pub async fn browser_domain(fresh: [u8; 8]) -> Result<u64, io::Error> {
    let lock = lock("wordraft/browser", Patience::AtMost(RELOAD_MAX)).await;
    let file = Directory::root().await?.open("browser").await?;
    let domain = match file.read_all()?.try_into() {
        Ok(known) => known,
        Err(_) => {
            file.write_all(&fresh)?;
            fresh
        }
    };
    drop(file);
    drop(lock);
    Ok(u64::from_le_bytes(domain))
}

pub async fn pause(delay: Duration) {
    let (sender, receiver) = oneshot::channel();
    let _timer = after(delay, move || {
        let _nobody_waits = sender.send(());
    });
    let _rang = receiver.await;
}

async fn settled<T: JsCast>(promise: Promise) -> Result<T, io::Error> {
    let value = JsFuture::from(promise).await.map_err(|error| io_error(&error))?;
    value.dyn_into().map_err(|other| io::Error::other(text_of(&other)))
}
