//! The polls of one session: what waits for them, in all its namespaces together and in its order, the
//! answer that is not read yet, the body that is being worked through.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit, oneshot};

use super::frame;
use crate::{event::Namespace, tasks::Tasks};

/// Bytes after which an answer takes no more.
const ANSWER_BYTES: usize = 256 * 1024;

/// The packet that ends a session (Engine.IO protocol v4, "Packet types").
const CLOSE: &str = "1";

/// What a frame takes beside its bytes while it waits.
const FRAME_BYTES: usize = 64;

/// For how long a client may hear why it is closed: one that polls may be between two polls. Who is shut
/// out is out within a second.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(900);

/// What is wished of a session by who has its polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To say that too much waits, in all of its namespaces, and to end.
    TooMuch,
    /// To end.
    End,
}

/// The polls of one session.
pub(super) struct Polls {
    outbox: Mutex<Outbox>,
    /// Something waits since nothing did.
    filled: Notify,
    /// The session is about to end.
    closing: AtomicBool,
    /// Taken while an answer is being written.
    writing: Arc<Semaphore>,
    /// Taken while a body is read and worked through.
    bodies: Semaphore,
    /// Grants wishes.
    grant: Box<dyn Fn(Wish) + Send + Sync>,
    tasks: Tasks,
}

/// What waits for the next poll.
#[derive(Default)]
struct Outbox {
    waiting: VecDeque<(Namespace, PollItem)>,
    /// What the frames in it take.
    bytes: usize,
    /// Who is told when the client polls again, since it has then what it was answered.
    answered: Vec<oneshot::Sender<()>>,
    /// A poll is there and has no answer yet.
    polled: bool,
    /// A websocket wants to take over: polls are answered with nothing from now on.
    upgrading: bool,
    /// The poll that is there is told of the session's end.
    ended: bool,
}

/// One thing that waits for a poll.
pub(super) enum PollItem {
    /// A websocket's frame, of which a poll is given the payload.
    Frame(Bytes),
    /// Who wants to know when the client has what was before.
    Watch(oneshot::Sender<()>),
}

impl Outbox {
    fn push(&mut self, namespace: Namespace, frame: Bytes) {
        self.bytes += frame.len() + FRAME_BYTES;
        self.waiting.push_back((namespace, PollItem::Frame(frame)));
    }

    fn pop(&mut self) -> Option<(Namespace, PollItem)> {
        let first = self.waiting.pop_front()?;
        if let PollItem::Frame(frame) = &first.1 {
            self.bytes -= frame.len() + FRAME_BYTES;
        }
        Some(first)
    }

    /// Takes out what a namespace has in it.
    fn take(&mut self, namespace: Namespace) -> Vec<PollItem> {
        let mut taken = Vec::new();
        for _ in 0..self.waiting.len() {
            let Some((of, first)) = self.pop() else { break };
            match first {
                PollItem::Frame(frame) if of != namespace => self.push(of, frame),
                first if of != namespace => self.waiting.push_back((of, first)),
                first => taken.push(first),
            }
        }
        taken
    }

    /// The client has what it was answered.
    fn fetched(&mut self) {
        for watching in self.answered.drain(..) {
            // Whoever asked may have gone.
            let _ = watching.send(());
        }
    }
}

impl Polls {
    /// Those of a session that grants wishes.
    pub(super) fn new(tasks: Tasks, grant: impl Fn(Wish) + Send + Sync + 'static) -> Self {
        Self {
            outbox: Mutex::default(),
            filled: Notify::new(),
            closing: AtomicBool::new(false),
            writing: Arc::new(Semaphore::new(1)),
            bodies: Semaphore::new(1),
            grant: Box::new(grant),
            tasks,
        }
    }

    /// Where what is to be done about it later begins.
    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Wishes something of the session.
    pub(super) fn wish(&self, wish: Wish) {
        (self.grant)(wish);
    }

    fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock()
    }

    /// Frames wait for the next poll; how many bytes do then.
    pub(super) fn push(&self, namespace: Namespace, frames: &[Bytes]) -> usize {
        let (bytes, was_empty) = {
            let mut outbox = self.lock();
            let was_empty = outbox.waiting.is_empty();
            outbox.waiting.reserve(frames.len());
            for frame in frames {
                outbox.push(namespace, frame.clone());
            }
            (outbox.bytes, was_empty)
        };
        if was_empty && !frames.is_empty() {
            self.filled.notify_one();
        }
        bytes
    }

    /// Tells when the client has taken what waits for it now, or at once where that is no more than
    /// `few` bytes.
    pub(super) fn watch(&self, namespace: Namespace, taken: oneshot::Sender<()>, few: usize) {
        let mut outbox = self.lock();
        if outbox.bytes > few {
            outbox.waiting.push_back((namespace, PollItem::Watch(taken)));
        } else {
            // Whoever asked may have gone.
            let _ = taken.send(());
        }
    }

    /// Whether a frame would wait behind others for another poll than the one that is there.
    pub(super) fn keeps_waiting(&self) -> bool {
        let outbox = self.lock();
        let bytes = if outbox.polled { ANSWER_BYTES } else { 0 };
        outbox.bytes > bytes
    }

    /// Takes out what waits in a namespace: it ends, or goes on over a websocket.
    pub(super) fn take(&self, namespace: Namespace) -> Vec<PollItem> {
        self.lock().take(namespace)
    }

    /// The frames that a poll is answered with; while there are none, it waits.
    pub(super) fn answer(&self) -> Vec<Bytes> {
        let mut outbox = self.lock();
        outbox.fetched();
        let (mut frames, mut bytes) = (Vec::new(), 0);
        while !outbox.upgrading
            && let Some((_, first)) = outbox.waiting.front()
        {
            if let PollItem::Frame(frame) = first {
                bytes += frame.len();
                if bytes > ANSWER_BYTES && !frames.is_empty() {
                    break;
                }
            }
            match outbox.pop() {
                Some((_, PollItem::Frame(frame))) => frames.push(frame),
                Some((_, PollItem::Watch(watching))) => outbox.answered.push(watching),
                None => break,
            }
        }
        outbox.polled = frames.is_empty() && !outbox.upgrading;
        frames
    }

    /// Waits until there may be frames to answer with.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// The poll that waited has been answered by the engine.
    pub(super) fn answered(&self) {
        self.lock().polled = false;
    }

    /// A websocket wants to take over: polls are answered with nothing. False when another one does.
    pub(super) fn upgrade(&self) -> bool {
        let mut outbox = self.lock();
        if outbox.upgrading {
            return false;
        }
        (outbox.upgrading, outbox.polled) = (true, false);
        outbox.fetched();
        drop(outbox);
        self.filled.notify_one();
        true
    }

    /// It did not: the session goes on with polls.
    pub(super) fn stay(&self) {
        self.lock().upgrading = false;
        self.filled.notify_one();
    }

    /// Whether a websocket wants to take over.
    pub(super) fn is_upgrading(&self) -> bool {
        self.lock().upgrading
    }

    /// The session ends: the poll that is there is told so. False when there is none.
    pub(super) fn end(&self) -> bool {
        let mut outbox = self.lock();
        if !outbox.polled || outbox.ended {
            return outbox.ended;
        }
        outbox.ended = true;
        outbox.push(Namespace::Root, frame::text(&[CLOSE]));
        drop(outbox);
        self.filled.notify_one();
        true
    }

    /// Whether a poll has been told of the session's end.
    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// The session is about to end: nothing is heard any more. True for the first who says so.
    pub(super) fn close(&self) -> bool {
        !self.closing.swap(true, Ordering::SeqCst)
    }

    /// Whether the session is about to end.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    fn texts(waiting: Vec<PollItem>) -> Vec<Bytes> {
        let frames = waiting.into_iter().filter_map(|waiting| match waiting {
            PollItem::Frame(frame) => Some(frame),
            PollItem::Watch(_) => None,
        });
        frames.collect()
    }

    #[test]
    fn a_poll_is_answered_in_portions_and_who_waits_is_told_by_the_next_one() {
        let polls = Polls::new(Tasks::default(), |_| {});
        let big = frame(&"x".repeat(ANSWER_BYTES));
        polls.push(Namespace::Root, std::slice::from_ref(&big));
        let (taken, mut when_taken) = oneshot::channel();
        polls.watch(Namespace::Root, taken, 0);
        polls.push(Namespace::Chat, &[frame("a")]);
        assert_eq!(polls.answer(), [big], "it fills an answer alone");
        assert!(when_taken.try_recv().is_err(), "the client may not have it yet");
        assert_eq!(polls.answer(), ["a"]);
        assert!(when_taken.try_recv().is_ok());
        assert!(polls.answer().is_empty());
        assert_eq!(polls.lock().bytes, 0);
    }

    #[test]
    fn what_a_namespace_has_is_taken_out_and_the_rest_keeps_its_order() {
        let polls = Polls::new(Tasks::default(), |_| {});
        for (namespace, text) in [
            (Namespace::Root, "1"),
            (Namespace::Chat, "a"),
            (Namespace::Root, "2"),
            (Namespace::Chat, "b"),
        ] {
            polls.push(namespace, &[frame(text)]);
        }
        assert_eq!(texts(polls.take(Namespace::Chat)), ["a", "b"]);
        assert_eq!(polls.answer(), ["1", "2"]);
        assert_eq!(polls.lock().bytes, 0);
    }

    #[test]
    fn only_for_the_poll_that_is_there_nothing_waits() {
        let polls = Polls::new(Tasks::default(), |_| {});
        assert!(!polls.keeps_waiting());
        polls.push(Namespace::Root, &[frame("1")]);
        assert!(polls.keeps_waiting(), "no poll is there");
        assert_eq!(polls.answer(), ["1"]);
        assert!(polls.answer().is_empty());
        polls.push(Namespace::Root, &[frame("2")]);
        assert!(!polls.keeps_waiting(), "the poll is about to be answered");
        polls.upgrade();
        assert!(polls.keeps_waiting(), "no poll is given it any more");
        assert!(polls.answer().is_empty());
        assert!(polls.keeps_waiting(), "not even one that comes");
        assert_eq!(texts(polls.take(Namespace::Root)), ["2"]);
    }
}
