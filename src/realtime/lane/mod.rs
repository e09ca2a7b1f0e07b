//! The lane: what the application keeps of a websocket, and the one place where bytes are handed
//! to its socket. The hub writes shared frames here; the engine's own frames pass through
//! [`LaneIo`], which the engine has for a stream.
//!
//! What holds at any moment:
//! - all that reaches `pending` or the kernel is a run of whole frames, and a partial write leaves
//!   its rest at the front of `pending`;
//! - while `pending` is not empty only its front is written, and always under the lock;
//! - a namespace's frames wait in `held` until the engine has written that namespace's CONNECT, those
//!   of a connection that comes from polling until it has written the marker; what is still sent to
//!   an earlier connection of the namespace is not for the next one.

mod frames;
mod gate;
mod incoming;
mod io;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    io::{ErrorKind, IoSlice, Result as IoResult},
    net::Shutdown,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::{net::TcpStream, sync::oneshot};

use self::gate::Gate;
pub(super) use io::LaneIo;

use super::frame;
use crate::{
    event::{ByNamespace, Namespace},
    limits::PacketLimit,
    metrics,
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

#[derive(Debug, Default)]
struct State {
    /// What waits, while something does.
    waiting: Option<Box<Waiting>>,
    pending_bytes: usize,
    /// Whether a part of the first pending frame has been written.
    started: bool,
    gates: ByNamespace<Gate>,
    phase: Phase,
    draining: bool,
    /// Whether reading waits for the connection's queue.
    paused: bool,
    /// The engine's reader, to be woken when there is something to read that is not on the wire.
    reader: Option<Waker>,
}

#[derive(Debug, Default)]
struct Waiting {
    pending: VecDeque<Bytes>,
    held: Vec<(Namespace, Bytes)>,
    /// Who wants to know when so many more bytes are written.
    watched: Vec<(usize, oneshot::Sender<()>)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// What is pending still goes out, then the socket closes.
    Closing,
    Dead,
}

impl Lane {
    pub(super) fn new(stream: TcpStream, tolerance: Arc<Tolerance>) -> Arc<Self> {
        Arc::new(Self { stream, tolerance, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends frames of one namespace, in order, as one write where the socket takes it.
    pub(super) fn send(self: &Arc<Self>, namespace: Namespace, run: Run<'_>) {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return;
        }
        if !state.gates[namespace].is_open() {
            state.pending_bytes += run.bytes.len();
            let held = &mut state.waiting.get_or_insert_default().held;
            held.extend(run.frames.iter().map(|frame| (namespace, frame.clone())));
            return self.check_pending(&mut state);
        }
        let written = if state.is_idle() || is_unruly() {
            match taken(self.stream.try_write(run.bytes)) {
                Ok(written) if written == run.bytes.len() => return,
                Ok(written) => written,
                Err(_) => return self.die(&mut state),
            }
        } else {
            0
        };
        state.append(run.frames, written);
        self.drain_later(&mut state);
    }

    /// Sends a frame only when nothing waits before it; whether it did.
    pub(super) fn send_volatile(self: &Arc<Self>, namespace: Namespace, frame: &Bytes) -> bool {
        let idle = {
            let state = self.lock();
            state.phase == Phase::Open && state.is_idle() && state.gates[namespace].is_open()
        };
        if idle {
            self.send(namespace, frame.into());
        }
        idle
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
            state.waiting.get_or_insert_default().watched.push((bytes, taken));
        } else {
            // Whoever asked may have gone.
            let _ = taken.send(());
        }
    }

    /// Begins a new connection of a namespace: holds its frames back until its CONNECT has passed.
    pub(super) fn hold(&self, namespace: Namespace) {
        self.lock().gates[namespace] = Gate::default();
    }

    /// What is sent from now on is the new connection's.
    pub(super) fn enter(&self, namespace: Namespace) {
        let mut state = self.lock();
        state.gates[namespace].enter();
        let earlier = state.take_held(namespace);
        state.pending_bytes -= earlier.iter().map(Bytes::len).sum::<usize>();
    }

    /// Holds a connection's frames back until the marker has passed.
    pub(super) fn await_marker(&self, namespace: Namespace) {
        self.lock().gates[namespace].await_marker();
    }

    /// Whether what is sent to a namespace goes out at once.
    pub(super) fn is_open(&self, namespace: Namespace) -> bool {
        self.lock().gates[namespace].is_open()
    }

    /// Sends last words, where the namespace is connected, then closes the socket; nothing is taken
    /// after that.
    pub(super) fn close(self: &Arc<Self>, last: Option<(Namespace, Bytes)>) {
        let mut state = self.lock();
        let open = |(namespace, _): &(Namespace, Bytes)| state.gates[*namespace].is_open();
        let last = last.filter(open).map(|(_, frame)| frame);
        self.close_with(&mut state, last.as_slice());
    }

    /// Stops or resumes reading from the peer.
    pub(super) fn pause(&self, paused: bool) {
        let mut state = self.lock();
        state.paused = paused;
        if !paused {
            state.wake_reader();
        }
    }

    fn close_with(self: &Arc<Self>, state: &mut State, last: &[Bytes]) {
        if state.phase != Phase::Open {
            return;
        }
        state.append(last, 0);
        state.append(&[frame::GOING_AWAY], 0);
        state.phase = Phase::Closing;
        state.wake_reader();
        self.flush(state);
        tokio::spawn(self.clone().linger());
    }

    /// The engine has let go of the socket: what is pending still goes out, within limits of time.
    fn finish(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
            self.flush(&mut state);
            tokio::spawn(self.clone().linger());
        }
    }

    /// Writes what is pending, as far as the socket takes it, and sees to the rest.
    fn flush(self: &Arc<Self>, state: &mut State) {
        while let Some(waiting) = state.waiting.as_deref().filter(|_| !state.is_idle()) {
            let mut slices = [IoSlice::new(&[]); GATHER];
            let (mut batch, mut length) = (0, 0);
            for (slice, frame) in slices.iter_mut().zip(&waiting.pending) {
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
            tokio::spawn(self.clone().drain());
        }
        self.check_pending(state);
    }

    /// A peer for which too much waits is told so and let go; it catches up when it comes back.
    fn check_pending(self: &Arc<Self>, state: &mut State) {
        if state.pending_bytes <= self.tolerance.max_pending_bytes || state.phase != Phase::Open {
            return;
        }
        metrics::slow_consumers().increment(1);
        state.drop_all_but_the_started_frame();
        let told: Vec<Bytes> = Namespace::ALL
            .into_iter()
            .filter(|namespace| state.gates[*namespace].is_open())
            .map(|namespace| self.tolerance.farewell[namespace].clone())
            .collect();
        self.close_with(state, &told);
    }

    async fn drain(self: Arc<Self>) {
        loop {
            let writable =
                tokio::time::timeout(self.tolerance.stall_timeout, self.stream.writable()).await;
            let mut state = self.lock();
            if !matches!(writable, Ok(Ok(()))) {
                if state.phase == Phase::Open {
                    metrics::slow_consumers().increment(1);
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
        *state = State { phase: Phase::Dead, ..State::default() };
        // The peer may be gone already; then there is nothing to shut down.
        let _ = SockRef::from(&self.stream).shutdown(Shutdown::Both);
    }
}

/// How many bytes a socket took: none when it is full.
fn taken(result: IoResult<usize>) -> IoResult<usize> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
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

impl Waiting {
    /// So many bytes were written.
    fn written(&mut self, bytes: usize) {
        for (left, taken) in std::mem::take(&mut self.watched) {
            match left.checked_sub(bytes).filter(|left| *left > 0) {
                Some(left) => self.watched.push((left, taken)),
                // Whoever asked may have gone.
                None => drop(taken.send(())),
            }
        }
    }
}

impl State {
    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Whether nothing waits for the socket.
    fn is_idle(&self) -> bool {
        self.waiting.as_ref().is_none_or(|waiting| waiting.pending.is_empty())
    }

    /// Puts frames at the end, leaving out the first `written` bytes.
    fn append(&mut self, frames: &[Bytes], mut written: usize) {
        for frame in frames {
            if written >= frame.len() {
                written -= frame.len();
                continue;
            }
            self.started |= written > 0;
            self.pending_bytes += frame.len() - written;
            let waiting = self.waiting.get_or_insert_default();
            waiting.pending.push_back(frame.slice(written..));
            written = 0;
        }
    }

    /// Takes what was written off the front.
    fn consume(&mut self, mut written: usize) {
        self.pending_bytes -= written;
        let Some(waiting) = &mut self.waiting else { return };
        waiting.written(written);
        while let Some(front) = waiting.pending.front_mut() {
            if written < front.len() {
                front.advance(written);
                self.started |= written > 0;
                return;
            }
            written -= front.len();
            waiting.pending.pop_front();
            self.started = false;
        }
        waiting.pending = VecDeque::new();
        self.rest();
    }

    /// An idle lane keeps no buffer.
    fn rest(&mut self) {
        let idle = |waiting: &Waiting| waiting.held.is_empty() && waiting.pending.is_empty();
        if self.waiting.as_deref().is_some_and(idle)
            && let Some(mut waiting) = self.waiting.take()
        {
            waiting.written(usize::MAX);
        }
    }

    /// Something of the engine's has passed that moves a namespace's gate: once that is open its frames
    /// pass, those held back first.
    fn passed(&mut self, namespace: Namespace, what: fn(&mut Gate)) {
        let gate = &mut self.gates[namespace];
        what(gate);
        if gate.is_open() {
            let held = self.take_held(namespace);
            if !held.is_empty() {
                self.waiting.get_or_insert_default().pending.extend(held);
            }
        }
    }

    fn take_held(&mut self, namespace: Namespace) -> Vec<Bytes> {
        let Some(waiting) = &mut self.waiting else { return Vec::new() };
        let held = std::mem::take(&mut waiting.held).into_iter();
        let (taken, held): (Vec<_>, _) = held.partition(|(held, _)| *held == namespace);
        waiting.held = held;
        self.rest();
        taken.into_iter().map(|(_, frame)| frame).collect()
    }

    fn drop_all_but_the_started_frame(&mut self) {
        let Some(waiting) = &mut self.waiting else { return };
        waiting.pending.truncate(usize::from(self.started));
        waiting.held.clear();
        waiting.watched.clear();
        self.pending_bytes = waiting.pending.iter().map(Bytes::len).sum();
    }
}
