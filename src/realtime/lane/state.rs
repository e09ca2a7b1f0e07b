//! What a lane keeps under its lock: what waits, which namespaces' frames pass, and how far it is with
//! its end.

use std::{collections::VecDeque, task::Waker};

use bytes::{Buf, Bytes};
use tokio::sync::oneshot;

use super::gate::Gate;
use crate::event::{ByNamespace, Namespace};

#[derive(Debug, Default)]
pub(super) struct State {
    /// What waits, while something does.
    pub(super) buffer: Option<Box<WriteBuffer>>,
    pub(super) pending_bytes: usize,
    /// Whether a part of the first pending frame has been written.
    pub(super) started: bool,
    pub(super) gates: ByNamespace<Gate>,
    pub(super) phase: Phase,
    pub(super) draining: bool,
    /// Whether reading waits for the connection's queue.
    pub(super) paused: bool,
    /// The engine's reader, to be woken when there is something to read that is not on the wire.
    pub(super) reader: Option<Waker>,
}

#[derive(Debug, Default)]
pub(super) struct WriteBuffer {
    pub(super) pending: VecDeque<Bytes>,
    pub(super) gated: Vec<(Namespace, Bytes)>,
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
        let idle = |buffer: &WriteBuffer| buffer.gated.is_empty() && buffer.pending.is_empty();
        if self.buffer.as_deref().is_some_and(idle)
            && let Some(mut buffer) = self.buffer.take()
        {
            buffer.written(usize::MAX);
        }
    }

    /// Something of the engine's has passed that moves a namespace's gate: once that is open its frames
    /// pass, those held back first.
    pub(super) fn passed(&mut self, namespace: Namespace, what: fn(&mut Gate)) {
        let gate = &mut self.gates[namespace];
        what(gate);
        if gate.is_open() {
            let gated = self.take_gated(namespace);
            if !gated.is_empty() {
                self.buffer.get_or_insert_default().pending.extend(gated);
            }
        }
    }

    pub(super) fn take_gated(&mut self, namespace: Namespace) -> Vec<Bytes> {
        let Some(buffer) = &mut self.buffer else { return Vec::new() };
        let gated = std::mem::take(&mut buffer.gated).into_iter();
        let (taken, gated): (Vec<_>, _) = gated.partition(|(gated, _)| *gated == namespace);
        buffer.gated = gated;
        self.rest();
        taken.into_iter().map(|(_, frame)| frame).collect()
    }

    pub(super) fn drop_all_but_the_started_frame(&mut self) {
        let Some(buffer) = &mut self.buffer else { return };
        buffer.pending.truncate(usize::from(self.started));
        buffer.gated.clear();
        buffer.watched.clear();
        self.pending_bytes = buffer.pending.iter().map(Bytes::len).sum();
    }
}
