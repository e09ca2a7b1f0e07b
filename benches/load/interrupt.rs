//! Ctrl-C and SIGTERM end a run in order, so that the servers it started end with it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Result, ensure};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Listens for signals from now on.
///
/// # Errors
/// When no thread can be started.
pub fn watch() -> Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let mut terminate = {
        let _inside = runtime.enter();
        signal(SignalKind::terminate())?
    };
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = tokio::signal::ctrl_c() => (),
            }
        });
        ASKED.store(true, Ordering::Relaxed);
    })?;
    Ok(())
}

/// Whether a signal came.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Goes on unless a signal came.
///
/// # Errors
/// When one did.
pub fn check() -> Result<()> {
    ensure!(!asked(), "interrupted");
    Ok(())
}
