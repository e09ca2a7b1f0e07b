//! What a lane keeps under its lock: what waits, which namespaces hear, and how far it is with its end.

use std::{collections::VecDeque, task::Waker};

use bytes::{Buf, Bytes};
use tokio::sync::oneshot;

use crate::event::ByNamespace;

#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is of its own, and there is one of these for each socket"
)]
pub(super) struct State {
    /// What waits, while something does.
    pub(super) buffer: Option<Box<WriteBuffer>>,
    pub(super) pending_bytes: usize,
    /// Whether a part of the first pending frame has been written.
    pub(super) started: bool,
    /// The namespaces whose CONNECT was answered.
    pub(super) open: ByNamespace<bool>,
    pub(super) phase: Phase,
    pub(super) draining: bool,
    /// Its peer took less than it was sent.
    pub(super) slow: bool,
    /// Whether reading waits for the connection's queue.
    pub(super) paused: bool,
    /// Who reads, to be woken when that may go on, or ends.
    pub(super) reader: Option<Waker>,
    /// How many pings and pongs there were; of a client that pings by itself when the last one was.
    pub(super) beat: u32,
}

#[derive(Debug, Default)]
pub(super) struct WriteBuffer {
    pub(super) pending: VecDeque<Bytes>,
    /// Who wants to know when so many more bytes are written.
    pub(super) watched: Vec<(usize, oneshot::Sender<()>)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Open,
    /// What is pending still goes out, then the socket closes.
    Closing,
    Dead,
}

impl WriteBuffer {
    /// So many bytes were written.
    pub(super) fn written(&mut self, bytes: usize) {
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
    pub(super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Whether nothing waits for the socket.
    pub(super) fn is_idle(&self) -> bool {
        self.buffer.as_ref().is_none_or(|buffer| buffer.pending.is_empty())
    }

    /// Puts frames at the end, leaving out the first `written` bytes.
    pub(super) fn append(&mut self, frames: &[Bytes], mut written: usize) {
        for frame in frames {
            if written >= frame.len() {
                written -= frame.len();
                continue;
            }
            self.started |= written > 0;
            self.pending_bytes += frame.len() - written;
            let buffer = self.buffer.get_or_insert_default();
            buffer.pending.push_back(frame.slice(written..));
            written = 0;
        }
    }

    /// Takes what was written off the front.
    pub(super) fn consume(&mut self, mut written: usize) {
        self.pending_bytes -= written;
        let Some(buffer) = &mut self.buffer else { return };
        buffer.written(written);
        while let Some(front) = buffer.pending.front_mut() {
            if written < front.len() {
                front.advance(written);
                self.started |= written > 0;
                return;
            }
            written -= front.len();
            buffer.pending.pop_front();
            self.started = false;
        }
        buffer.pending = VecDeque::new();
        self.rest();
    }

    /// An idle lane keeps no buffer.
    pub(super) fn rest(&mut self) {
        let idle = |buffer: &WriteBuffer| buffer.pending.is_empty();
        if self.buffer.as_deref().is_some_and(idle)
            && let Some(mut buffer) = self.buffer.take()
        {
            buffer.written(usize::MAX);
        }
    }

    pub(super) fn drop_all_but_the_started_frame(&mut self) {
        let Some(buffer) = &mut self.buffer else { return };
        buffer.pending.truncate(usize::from(self.started));
        buffer.watched.clear();
        self.pending_bytes = buffer.pending.iter().map(Bytes::len).sum();
    }
}
