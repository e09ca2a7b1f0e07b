//! What one polling session keeps waiting, in all its namespaces together: the bytes that it has not
//! fetched, the answer that it does not read, the body that is being worked through.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Bytes that the engine is given for one poll. The rest waits with the hub, where an event is shared
/// by all for whom it waits; in the engine it is everyone's own.
const WINDOW: usize = 256 * 1024;

/// The polls of one session.
pub(super) struct Polls {
    /// Bytes that wait with the hub.
    waiting: AtomicUsize,
    /// Bytes that the engine may still be given for the poll under way; none between two.
    window: AtomicUsize,
    /// The engine was given something since the last poll began.
    given: AtomicBool,
    /// A websocket wants to take over: polls are answered with nothing until it has.
    upgrading: AtomicBool,
    /// The session is about to end.
    closing: AtomicBool,
    /// Taken while an answer is being written.
    writing: Arc<Semaphore>,
    /// Taken while a body is read and worked through.
    bodies: Semaphore,
}

impl Default for Polls {
    fn default() -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            window: AtomicUsize::new(0),
            given: AtomicBool::new(false),
            upgrading: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            writing: Arc::new(Semaphore::new(1)),
            bodies: Semaphore::new(1),
        }
    }
}

impl Polls {
    /// Bytes that wait for the client.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// So many bytes wait, too.
    pub(super) fn add(&self, bytes: usize) {
        self.waiting.fetch_add(bytes, Ordering::SeqCst);
    }

    /// So many bytes wait no more.
    pub(super) fn remove(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::SeqCst);
    }

    /// The session is about to end: nothing is heard any more. True for the first who says so.
    pub(super) fn close(&self) -> bool {
        !self.closing.swap(true, Ordering::SeqCst)
    }

    /// Whether the session is about to end.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Whether the engine may be given so many bytes: a poll waits for them. What is larger than the
    /// window goes alone.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let window = self.window.load(Ordering::SeqCst);
        window >= bytes || window == WINDOW
    }

    /// The engine was given so many bytes.
    pub(super) fn given(&self, bytes: usize) {
        let less = |window: usize| Some(window.saturating_sub(bytes));
        // It always changes.
        let _ = self.window.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        self.given.store(true, Ordering::SeqCst);
    }

    /// A poll waits. True when the hub is to know: bytes wait for it, or what was given before has been
    /// fetched.
    pub(super) fn begin(&self) -> bool {
        if !self.upgrading.load(Ordering::SeqCst) {
            self.window.store(WINDOW, Ordering::SeqCst);
        }
        let fetched = self.given.swap(false, Ordering::SeqCst);
        fetched || self.waiting() > 0
    }

    /// The poll has been answered.
    pub(super) fn end(&self) {
        self.window.store(0, Ordering::SeqCst);
    }

    /// A websocket wants to take over; if it fails, the session ends.
    pub(super) fn upgrade(&self) {
        self.upgrading.store(true, Ordering::SeqCst);
        self.end();
    }

    /// Waits until the last answer has been written. Who has read it does not wait; who polls again
    /// without reading does.
    pub(super) async fn written(&self) {
        // Never closed.
        let _ = self.writing.acquire().await;
    }

    /// The bytes of an answer, which count as being written until they are dropped.
    pub(super) fn write(&self, bytes: Bytes) -> Bytes {
        match self.writing.clone().try_acquire_owned() {
            Ok(permit) if !bytes.is_empty() => Bytes::from_owner(Answer { bytes, _permit: permit }),
            _ => bytes,
        }
    }

    /// Has one body at a time read and worked through, as long as this is held.
    pub(super) async fn body(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed.
        self.bodies.acquire().await.ok()
    }
}

/// An answer on its way.
struct Answer {
    bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
