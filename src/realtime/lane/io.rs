//! What the engine has for a stream: reads come from the socket, writes go through the lane.
//! On the way the engine's few frames are looked at: the first ping is answered here, CONNECT
//! opens a namespace, the probe's answer begins a change of transport.

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Lane, Phase};
use crate::{
    event::Namespace,
    realtime::{frame, link::Link},
};

/// A client's pong, masked with zeros as a server's parser wants it (RFC 6455, section 5.1).
const PONG: [u8; 7] = [0x81, 0x81, 0, 0, 0, 0, b'3'];

/// The stream that the engine reads from and writes to.
pub(in crate::realtime) struct LaneIo {
    lane: Arc<Lane>,
    /// Bytes that the client sent along with its upgrade request.
    early: Bytes,
    ping: FirstPing,
    link: Arc<Link>,
    /// Whether the link is a polling session that wants to change over to this socket.
    upgrading: bool,
}

/// The engine pings at once, Node's server after one interval: the first ping is held back and
/// answered here (reference: Engine.IO protocol v4, "Heartbeat").
#[derive(Clone, Copy, PartialEq, Eq)]
enum FirstPing {
    /// Not seen yet. Nothing is read before, so that the answer can't land inside a frame.
    Awaited,
    /// To be answered.
    Seen,
    Done,
}

impl LaneIo {
    /// The stream of a new session, or of a polling session that wants to change over.
    pub(in crate::realtime) fn new(
        lane: Arc<Lane>,
        early: Bytes,
        link: Arc<Link>,
        upgrading: bool,
    ) -> Self {
        // Version 3 clients ping by themselves; a polling session has had its first ping.
        let awaited = !upgrading && !link.is_v3();
        let ping = if awaited { FirstPing::Awaited } else { FirstPing::Done };
        Self { lane, early, ping, link, upgrading }
    }

    /// What becomes of one frame of the engine's. Only its texts are looked into: a pong carries
    /// what the peer likes.
    fn pass(&mut self, frame: &[u8], payload: &[u8]) -> Pass {
        if !frame::is_text(frame) {
            return Pass::On(None);
        }
        if payload == b"2" && self.ping == FirstPing::Awaited {
            self.ping = FirstPing::Seen;
            return Pass::Swallow(None);
        }
        if payload == b"3probe" {
            return Pass::Upgrade;
        }
        if let Some(namespace) = frame::marked_namespace(payload) {
            return Pass::Swallow(Some(namespace));
        }
        if self.link.is_v3()
            && let Some(plain) = std::str::from_utf8(payload).ok().and_then(frame::plain_error)
        {
            return Pass::Instead(frame::text(&[&plain]));
        }
        Pass::On(frame::connected_namespace(payload))
    }
}

enum Pass {
    /// As it is; opens the namespace.
    On(Option<Namespace>),
    /// Not at all; opens the namespace.
    Swallow(Option<Namespace>),
    Instead(Bytes),
    /// As it is; and the session has come over.
    Upgrade,
}

impl AsyncRead for LaneIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.lane.reader.register(cx.waker());
        if self.lane.lock().phase != Phase::Open {
            return Poll::Ready(Ok(()));
        }
        match self.ping {
            FirstPing::Awaited => return Poll::Pending,
            FirstPing::Seen => {
                self.ping = FirstPing::Done;
                // Reads are never smaller: tungstenite asks for its whole read buffer.
                buf.put_slice(&PONG);
                return Poll::Ready(Ok(()));
            }
            FirstPing::Done => {}
        }
        if self.lane.paused.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        if !self.early.is_empty() {
            let taken = self.early.len().min(buf.remaining());
            buf.put_slice(&self.early[..taken]);
            self.early.advance(taken);
            if self.early.is_empty() {
                self.early = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        loop {
            std::task::ready!(self.lane.stream.poll_read_ready(cx))?;
            match self.lane.stream.try_read(buf.initialize_unfilled()) {
                Ok(read) => {
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for LaneIo {
    /// Takes everything: the engine hands over runs of whole frames, and what the socket does not
    /// take now waits in the lane.
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let lane = self.lane.clone();
        let mut upgrading = false;
        {
            let mut state = lane.lock();
            match state.phase {
                Phase::Open => {}
                Phase::Closing => return Poll::Ready(Ok(buf.len())),
                Phase::Dead => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
            let mut rest = buf;
            while let Some((payload, end)) = frame::first(rest) {
                let (whole, opens) = match self.pass(rest, payload) {
                    Pass::On(opens) => (Bytes::copy_from_slice(&rest[..end]), opens),
                    Pass::Swallow(opens) => (Bytes::new(), opens),
                    Pass::Instead(frame) => (frame, None),
                    Pass::Upgrade => {
                        upgrading = true;
                        (Bytes::copy_from_slice(&rest[..end]), None)
                    }
                };
                if !whole.is_empty() {
                    state.append(&[whole], 0);
                }
                if let Some(namespace) = opens {
                    state.connected(namespace);
                }
                rest = &rest[end..];
            }
            debug_assert!(rest.is_empty(), "the engine hands over whole frames");
            lane.flush(&mut state);
        }
        if self.ping == FirstPing::Seen {
            lane.reader.wake();
        }
        if upgrading && !self.link.change_over(&lane) {
            return Poll::Ready(Err(io::ErrorKind::AlreadyExists.into()));
        }
        if self.upgrading {
            // The engine writes what it still had; the marker may have found no room before.
            self.link.pump();
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for LaneIo {
    fn drop(&mut self) {
        // A change of transport that failed would leave its polling session behind for ever; for
        // one that succeeded this says nothing new.
        if self.upgrading {
            self.link.close_polling();
        }
        self.link.vacate(&self.lane);
        self.lane.finish();
    }
}
