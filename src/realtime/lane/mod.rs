//! The lane: the write side of a websocket, and the one place where bytes are handed to its socket.
//!
//! What is so at any moment:
//! - all that reaches `pending` or the kernel is a run of whole frames (with the first of them the
//!   answer to the request may come), and a partial write leaves its rest at the front of `pending`;
//! - while `pending` is not empty only its front is written, and always under the lock.

mod pulse;
mod state;
#[cfg(test)]
mod tests;

use std::{
    io::{ErrorKind, IoSlice, Read, Result as IoResult},
    net::Shutdown,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use socket2::SockRef;
use tokio::{io::Interest, net::TcpStream, sync::oneshot};

use self::state::{Phase, State};
use super::{frame, watch::Watch};
use crate::{
    event::{ByNamespace, Namespace},
    limits::PacketLimit,
    metrics,
    tasks::Tasks,
};

/// Frames handed to the kernel in one `writev`.
const GATHER: usize = 64;

/// How long a closed socket is read on, so that what was written last arrives before the reset
/// that closing an unread socket causes.
const LINGER: Duration = Duration::from_secs(2);

/// How much of a closed socket is read on: a whole message. Who sends more is not waited for long.
const LINGER_BYTES: usize = 1024 * 1024;

/// What a peer may make us keep, how long it may take nothing, and what it may send beside events.
#[derive(Debug)]
pub(super) struct Tolerance {
    /// Bytes that may wait for one peer.
    pub(super) max_pending_bytes: usize,
    /// Bytes of a message of the peer's.
    pub(super) max_payload_bytes: usize,
    /// How long a peer may take nothing while bytes wait for it.
    pub(super) stall_timeout: Duration,
    /// What a slow consumer is told, for each namespace.
    pub(super) farewell: ByNamespace<Bytes>,
    /// Packets that are no event within its rate; none when rates are off.
    pub(super) packets: Option<PacketLimit>,
    /// Where what is to be done about a socket later begins.
    pub(super) tasks: Tasks,
    /// Who looks at this node, and wants to know how much is sent.
    pub(super) watch: Watch,
}

#[cfg(test)]
impl Tolerance {
    /// That of a peer that is told nothing when it is too slow.
    pub(super) fn for_tests() -> Self {
        Self {
            max_pending_bytes: 1000,
            max_payload_bytes: 1000,
            stall_timeout: Duration::from_secs(5),
            farewell: ByNamespace::default(),
            packets: None,
            tasks: Tasks::default(),
            watch: Watch::default(),
        }
    }
}

/// Whole frames, and the same bytes end to end.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    /// Each for itself: what a socket does not take is shared by all for whom it waits.
    pub(super) frames: &'a [Bytes],
    pub(super) bytes: &'a [u8],
}

impl<'a> From<&'a Bytes> for Run<'a> {
    fn from(frame: &'a Bytes) -> Self {
        Self { frames: std::slice::from_ref(frame), bytes: frame }
    }
}

/// The write side of one websocket.
#[derive(Debug)]
pub(super) struct Lane {
    stream: TcpStream,
    tolerance: Arc<Tolerance>,
    state: Mutex<State>,
}

impl Lane {
    pub(super) fn new(stream: TcpStream, tolerance: Arc<Tolerance>) -> Arc<Self> {
        Arc::new(Self { stream, tolerance, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Sends frames, in order, as one write where the socket takes it.
    pub(super) fn send(self: &Arc<Self>, run: Run<'_>) {
        self.send_in(&mut self.lock(), run);
    }

    fn send_in(self: &Arc<Self>, state: &mut State, run: Run<'_>) {
        if state.phase != Phase::Open {
            return;
        }
        self.tolerance.watch.told(run.frames.len(), run.bytes.len());
        let written = if state.is_idle() || is_unruly() {
            match taken(self.stream.try_write(run.bytes)) {
                Ok(written) if written == run.bytes.len() => return,
                Ok(written) => written,
                Err(_) => return self.die(state),
            }
        } else {
            0
        };
        state.append(run.frames, written);
        self.drain_later(state);
    }

    /// Sends a frame only when nothing waits before it; whether it did.
    pub(super) fn send_volatile(self: &Arc<Self>, frame: &Bytes) -> bool {
        let mut state = self.lock();
        let is_idle = state.phase == Phase::Open && state.is_idle();
        if is_idle {
            self.send_in(&mut state, frame.into());
        }
        is_idle
    }

    /// Tells when the socket has taken all that waits for it now, or at once where that is no more
    /// than `few` bytes; not at all when it closes before.
    pub(super) fn watch(&self, taken: oneshot::Sender<()>, few: usize) {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return;
        }
        let bytes = state.pending_bytes;
        if bytes > few {
            state.buffer.get_or_insert_default().watched.push((bytes, taken));
        } else {
            // Whoever asked may have gone.
            let _ = taken.send(());
        }
    }

    /// A namespace's CONNECT has been answered.
    pub(super) fn open(&self, namespace: Namespace) {
        self.lock().open[namespace] = true;
    }

    /// Another connection of a namespace begins, whose CONNECT has not been answered.
    pub(super) fn begin(&self, namespace: Namespace) {
        self.lock().open[namespace] = false;
    }

    /// Whether the client hears what is sent to a namespace.
    pub(super) fn is_open(&self, namespace: Namespace) -> bool {
        self.lock().open[namespace]
    }

    /// Sends last words, where the namespace is connected, then closes the socket; nothing is taken
    /// after that.
    pub(super) fn close(self: &Arc<Self>, last: Option<(Namespace, Bytes)>) {
        let mut state = self.lock();
        let last = last.filter(|(namespace, _)| state.open[*namespace]).map(|(_, frame)| frame);
        self.close_with(&mut state, last.as_slice(), frame::GOING_AWAY);
    }

    /// Closes the socket with this status, and without one as the client did.
    pub(super) fn close_as(self: &Arc<Self>, status: Option<u16>) {
        self.close_with(&mut self.lock(), &[], frame::close(status));
    }

    /// Whether it was closed since its peer took less than it was sent.
    pub(super) fn was_slow(&self) -> bool {
        self.lock().slow
    }

    /// Stops or resumes reading from the peer.
    pub(super) fn pause(&self, paused: bool) {
        let mut state = self.lock();
        state.paused = paused;
        if !paused {
            state.wake_reader();
        }
    }

    /// Whether may be read now; the reader is woken when that changes.
    pub(super) fn reading(&self, reader: &Waker) -> Reading {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Reading::Ended;
        }
        match &mut state.reader {
            Some(known) => known.clone_from(reader),
            none => *none = Some(reader.clone()),
        }
        if state.paused { Reading::Paused } else { Reading::Open }
    }

    /// Whether may be read, and nothing else waits for that.
    pub(super) fn is_read(&self) -> bool {
        let state = self.lock();
        state.phase == Phase::Open && !state.paused
    }

    /// Whether the peer may have sent something.
    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<IoResult<()>> {
        self.stream.poll_read_ready(cx)
    }

    /// What the peer has sent.
    pub(super) fn try_read(&self, bytes: &mut [u8]) -> IoResult<usize> {
        self.stream.try_read(bytes)
    }

    /// The same, without asking the kernel again once it has said all.
    pub(super) fn try_read_once(&self, bytes: &mut [u8]) -> IoResult<usize> {
        try_read_once(&self.stream, bytes)
    }

    pub(super) fn tolerance(&self) -> &Tolerance {
        &self.tolerance
    }

    fn close_with(self: &Arc<Self>, state: &mut State, last: &[Bytes], close: Bytes) {
        if state.phase != Phase::Open {
            return;
        }
        state.append(last, 0);
        state.append(&[close], 0);
        state.phase = Phase::Closing;
        state.wake_reader();
        self.flush(state);
        self.tolerance.tasks.spawn_until_stopped("last reads", self.clone().linger());
    }

    /// Nobody reads any more: what is pending still goes out, within limits of time.
    pub(super) fn finish(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
            self.flush(&mut state);
            self.tolerance.tasks.spawn_until_stopped("last reads", self.clone().linger());
        }
    }

    /// Writes what is pending, as far as the socket takes it, and sees to the rest.
    fn flush(self: &Arc<Self>, state: &mut State) {
        while let Some(buffer) = state.buffer.as_deref().filter(|_| !state.is_idle()) {
            let mut slices = [IoSlice::new(&[]); GATHER];
            let (mut batch, mut length) = (0, 0);
            for (slice, frame) in slices.iter_mut().zip(&buffer.pending) {
                *slice = IoSlice::new(frame);
                batch += 1;
                length += frame.len();
            }
            match taken(self.stream.try_write_vectored(&slices[..batch])) {
                Ok(written) => {
                    state.consume(written);
                    if written < length {
                        break;
                    }
                }
                Err(_) => return self.die(state),
            }
        }
        self.drain_later(state);
    }

    /// Starts the task that waits for the socket when bytes are left, and closes where due.
    fn drain_later(self: &Arc<Self>, state: &mut State) {
        if state.is_idle() {
            if state.phase == Phase::Closing {
                // The peer may be gone already; then there is nothing to shut down.
                let _ = SockRef::from(&self.stream).shutdown(Shutdown::Write);
            }
            return;
        }
        if !state.draining {
            state.draining = true;
            self.tolerance.tasks.spawn_until_stopped("late writes", self.clone().drain());
        }
        self.check_pending(state);
    }

    /// A peer for which too much waits is told so and let go; it catches up when it comes back.
    fn check_pending(self: &Arc<Self>, state: &mut State) {
        if state.pending_bytes <= self.tolerance.max_pending_bytes || state.phase != Phase::Open {
            return;
        }
        metrics::slow_consumers().increment(1);
        state.slow = true;
        state.drop_all_but_the_started_frame();
        let told: Vec<Bytes> = Namespace::EVERY
            .into_iter()
            .filter(|namespace| state.open[*namespace])
            .map(|namespace| self.tolerance.farewell[namespace].clone())
            .collect();
        self.close_with(state, &told, frame::GOING_AWAY);
    }

    async fn drain(self: Arc<Self>) {
        loop {
            let writable =
                tokio::time::timeout(self.tolerance.stall_timeout, self.stream.writable()).await;
            let mut state = self.lock();
            if !matches!(writable, Ok(Ok(()))) {
                if state.phase == Phase::Open {
                    metrics::slow_consumers().increment(1);
                    state.slow = true;
                }
                return self.die(&mut state);
            }
            self.flush(&mut state);
            if state.is_idle() {
                state.draining = false;
                return;
            }
        }
    }

    /// Reads a closed socket to its end, so that the peer gets our last words and not a reset.
    async fn linger(self: Arc<Self>) {
        let read = async {
            let mut scrap = [0; 512];
            let mut left = LINGER_BYTES;
            loop {
                // A peer that sends without end would keep this from ever being timed out.
                tokio::task::consume_budget().await;
                if self.stream.readable().await.is_err() {
                    return;
                }
                match self.stream.try_read(&mut scrap) {
                    Ok(0) => return,
                    Err(error) if error.kind() != ErrorKind::WouldBlock => return,
                    Err(_) => {}
                    // What it was told last, it may still read.
                    Ok(read) if read > left => return tokio::time::sleep(LINGER).await,
                    Ok(read) => left -= read,
                }
            }
        };
        let waited = LINGER + self.tolerance.stall_timeout;
        // Whether it ended or ran out of time, the socket goes now.
        let _ = tokio::time::timeout(waited, read).await;
        self.die(&mut self.lock());
    }

    fn die(&self, state: &mut State) {
        state.wake_reader();
        *state = State { phase: Phase::Dead, slow: state.slow, ..State::default() };
        // The peer may be gone already; then there is nothing to shut down.
        let _ = SockRef::from(&self.stream).shutdown(Shutdown::Both);
    }
}

/// What the peer of a socket has sent. Where that is less than there is space for, the socket is empty
/// (epoll(7), edge-triggered), and is not asked again before more has come.
pub(super) fn try_read_once(stream: &TcpStream, bytes: &mut [u8]) -> IoResult<usize> {
    let mut all = None;
    let read = stream.try_io(Interest::READABLE, || {
        let read = (&*SockRef::from(stream)).read(bytes)?;
        all = Some(read).filter(|read| (1..bytes.len()).contains(read));
        if all.is_some() { Err(ErrorKind::WouldBlock.into()) } else { Ok(read) }
    });
    all.map_or(read, Ok)
}

/// How many bytes a socket took: none when it is full.
fn taken(result: IoResult<usize>) -> IoResult<usize> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}

/// Whether may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Open,
    /// Its reader is woken when it may.
    Paused,
    /// Never again.
    Ended,
}

#[cfg(not(test))]
const fn is_unruly() -> bool {
    false
}

#[cfg(test)]
thread_local! {
    static UNRULY: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// From now on lanes write past what is pending, on this thread: the check has to see it.
#[cfg(test)]
pub(super) fn be_unruly() {
    UNRULY.set(true);
}

#[cfg(test)]
fn is_unruly() -> bool {
    UNRULY.get()
}
