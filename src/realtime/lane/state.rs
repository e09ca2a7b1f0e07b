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
    pub(super) waiting: Option<Box<Waiting>>,
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
pub(super) struct Waiting {
    pub(super) pending: VecDeque<Bytes>,
    pub(super) held: Vec<(Namespace, Bytes)>,
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

impl Waiting {
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
        self.waiting.as_ref().is_none_or(|waiting| waiting.pending.is_empty())
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
            let waiting = self.waiting.get_or_insert_default();
            waiting.pending.push_back(frame.slice(written..));
            written = 0;
        }
    }

    /// Takes what was written off the front.
    pub(super) fn consume(&mut self, mut written: usize) {
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
    pub(super) fn rest(&mut self) {
        let idle = |waiting: &Waiting| waiting.held.is_empty() && waiting.pending.is_empty();
        if self.waiting.as_deref().is_some_and(idle)
            && let Some(mut waiting) = self.waiting.take()
        {
            waiting.written(usize::MAX);
        }
    }

    /// Something of the engine's has passed that moves a namespace's gate: once that is open its frames
    /// pass, those held back first.
    pub(super) fn passed(&mut self, namespace: Namespace, what: fn(&mut Gate)) {
        let gate = &mut self.gates[namespace];
        what(gate);
        if gate.is_open() {
            let held = self.take_held(namespace);
            if !held.is_empty() {
                self.waiting.get_or_insert_default().pending.extend(held);
            }
        }
    }

    pub(super) fn take_held(&mut self, namespace: Namespace) -> Vec<Bytes> {
        let Some(waiting) = &mut self.waiting else { return Vec::new() };
        let held = std::mem::take(&mut waiting.held).into_iter();
        let (taken, held): (Vec<_>, _) = held.partition(|(held, _)| *held == namespace);
        waiting.held = held;
        self.rest();
        taken.into_iter().map(|(_, frame)| frame).collect()
    }

    pub(super) fn drop_all_but_the_started_frame(&mut self) {
        let Some(waiting) = &mut self.waiting else { return };
        waiting.pending.truncate(usize::from(self.started));
        waiting.held.clear();
        waiting.watched.clear();
        self.pending_bytes = waiting.pending.iter().map(Bytes::len).sum();
    }
}
