//! What Ctrl-C and a polite kill do.

use super::failure::Failure;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What is left to tidy up gets so long.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(3);

/// Set when a signal has come and the process is about to end.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Returns only if no signal has come: with one, how the process ends is decided, whatever a command says about it.
pub async fn give_way() {
    if ENDING.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
}

/// Ends the process at the first signal, after `cleanup`; a second signal does not wait for that.
pub fn exit_on_signal<F>(json: bool, cleanup: impl FnOnce() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send,
{
    tokio::spawn(async move {
        received().await;
        ENDING.store(true, Ordering::SeqCst);
        tokio::select! {
            _ = tokio::time::timeout(CLEANUP_TIMEOUT, cleanup()) => {}
            () = received() => {}
        }
        let failure = Failure::interrupted();
        failure.report(json);
        std::process::exit(i32::from(failure.kind().exit_code()));
    });
}

/// Waits for a stop that is under way, unless another signal comes meanwhile.
pub async fn stop(message: &str, stopping: impl Future<Output = ()>) -> Result<(), Failure> {
    tracing::info!("{message}");
    tokio::select! {
        () = stopping => Ok(()),
        () = received() => Err(Failure::interrupted()),
    }
}

/// Returns when the process is asked to end.
#[cfg(unix)]
pub async fn received() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

/// Returns when the process is asked to end.
#[cfg(not(unix))]
pub async fn received() {
    drop(tokio::signal::ctrl_c().await);
}
