//! What the engine has for a stream: reads come from the socket, writes go through its lane.
//! On the way the engine's few frames are looked at: the first ping is answered here, CONNECT
//! opens a namespace, the probe's answer begins a change of transport.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
};

use bytes::Bytes;
use socketioxide::socket::Sid;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{frames::Frames, incoming::Incoming};
use crate::{
    metrics,
    realtime::{
        connection::Context,
        events::ClosingReason,
        frame,
        lane::{Lane, Pass, Reading},
        link::Link,
    },
};

/// A client's pong, masked with zeros as a server's parser wants it (RFC 6455, section 5.1).
const PONG: [u8; 7] = [0x81, 0x81, 0, 0, 0, 0, b'3'];

/// Bytes read from the socket at once. The engine keeps a small buffer for each websocket, so what
/// it has no space for waits here until it asks again.
const READ_AHEAD: usize = 2048;

/// The longest header of a frame (RFC 6455, section 5.2). The engine's buffer grows to the length
/// that the header tells, on top of what it holds of the frame by then, and keeps that size: so the
/// header comes first, and nearly alone.
const HEADER: usize = 14;

/// The stream that the engine reads from and writes to. One pointer: the engine's tasks have room
/// for several of these, for as long as the websocket lives.
pub(super) struct LaneIo(Box<Inner>);

struct Inner {
    lane: Arc<Lane>,
    /// Bytes that were read and not asked for yet; at first those that the client sent along with
    /// its upgrade request.
    ahead: Box<[u8]>,
    /// How many of them were handed over.
    taken: u32,
    incoming: Incoming,
    ping: FirstPing,
    link: Arc<Link>,
    /// Whether the link is a polling session that wants to change over to this socket.
    upgrading: bool,
    frames: Frames,
    /// Nothing more is read: the peer sent too much that is no event.
    deaf: bool,
    context: Arc<Context>,
    /// Whether the link is found by the engine's id of it, and that id once it is known.
    named: bool,
    sid: Sid,
}

/// There is one for each websocket: it fits between the engine's tasks, as a connection's pieces do.
const _: () = assert!(size_of::<Inner>() <= 104);

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
    pub(super) fn new(
        context: Arc<Context>,
        lane: Arc<Lane>,
        early: &Bytes,
        link: Arc<Link>,
        upgrading: bool,
    ) -> Self {
        // Version 3 clients ping by themselves; a polling session has had its first ping.
        let awaited = !upgrading && !link.is_v3();
        let ping = if awaited { FirstPing::Awaited } else { FirstPing::Done };
        let (named, sid, deaf) = (false, Sid::ZERO, false);
        let mut incoming = Incoming::default();
        let (ahead, taken) = (incoming.pass(early).into(), 0);
        let frames = Frames::default();
        Self(Box::new(Inner {
            lane,
            ahead,
            taken,
            incoming,
            ping,
            link,
            upgrading,
            frames,
            deaf,
            context,
            named,
            sid,
        }))
    }

    /// Has the link found by the engine's id of the new session, as long as this lives.
    pub(super) fn named(mut self, named: bool) -> Self {
        self.0.named = named;
        self
    }
}

impl Inner {
    /// Hands over what was read before, as far as there is room.
    fn take_ahead(&mut self, buf: &mut ReadBuf<'_>) {
        let rest = &self.ahead[self.taken as usize..];
        let now = &rest[..rest.len().min(buf.remaining())];
        buf.put_slice(now);
        if now.len() == rest.len() {
            self.set_ahead(Box::default());
        } else {
            // Less than what was read at once.
            self.taken += u32::try_from(now.len()).unwrap_or(0);
        }
    }

    fn set_ahead(&mut self, ahead: Box<[u8]>) {
        (self.ahead, self.taken) = (ahead, 0);
    }

    /// Reads what there is, up to [`READ_AHEAD`]. It may be too little to be handed over.
    fn read(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let mut bytes = [0; READ_AHEAD];
        let read = self.lane.try_read(&mut bytes)?;
        if read == 0 {
            return Ok(());
        }
        let passed = self.incoming.pass(&bytes[..read]);
        if passed.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (now, later) = passed.split_at(passed.len().min(buf.remaining()).min(HEADER));
        buf.put_slice(now);
        let later = later.into();
        self.set_ahead(later);
        Ok(())
    }

    /// Counts the frames that are handed over. Who sends too many that are no event within its rate is
    /// told so and closed.
    fn count(&mut self, bytes: &[u8]) {
        let tolerance = self.lane.tolerance();
        let frames = self.frames.pass(bytes, tolerance.max_payload_bytes as u64);
        let Some(limit) = &tolerance.packets else { return };
        if frames > 0 && !self.link.take_packets(frames, limit) {
            self.deaf = true;
            if self.context.close_because(&self.link, ClosingReason::RateLimited) {
                metrics::rate_limited().increment(1);
            }
        }
    }

    /// What becomes of one frame of the engine's. Only its texts are looked into: a pong carries
    /// what the peer likes. A close frame says what the peer did wrong.
    fn pass(&mut self, frame: &[u8], payload: &[u8]) -> Pass {
        if !frame::is_text(frame) {
            let fault = self.frames.fault().filter(|_| frame::is_close(frame));
            return fault.map_or(Pass::On, |fault| Pass::Instead(frame::close(fault as u16)));
        }
        if payload == b"2" && self.ping == FirstPing::Awaited {
            self.ping = FirstPing::Seen;
            return Pass::Swallow;
        }
        if self.named
            && self.sid == Sid::ZERO
            && let Some(sid) = frame::opened_session(payload)
        {
            self.sid = sid;
            self.context.links.insert(sid, Arc::downgrade(&self.link));
        }
        if let Some(namespace) = frame::marked_namespace(payload) {
            return Pass::Marker(namespace);
        }
        if self.link.is_v3()
            && let Some(plain) = std::str::from_utf8(payload).ok().and_then(frame::plain_error)
        {
            return Pass::Instead(frame::text(&[&plain]));
        }
        frame::connected_namespace(payload).map_or(Pass::On, Pass::Connect)
    }
}

/// Whether a frame of the engine's says that the session has come over.
fn is_upgrade(frame: &[u8], payload: &[u8]) -> bool {
    frame::is_text(frame) && payload == b"3probe"
}

impl AsyncRead for LaneIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self.0;
        let reading = this.lane.reading(cx.waker());
        if reading == Reading::Ended {
            return Poll::Ready(Ok(()));
        }
        match this.ping {
            FirstPing::Awaited => return Poll::Pending,
            FirstPing::Seen => {
                this.ping = FirstPing::Done;
                // Reads are never smaller: tungstenite asks for its whole read buffer.
                buf.put_slice(&PONG);
                return Poll::Ready(Ok(()));
            }
            FirstPing::Done => {}
        }
        if reading == Reading::Paused || this.deaf {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if !this.ahead.is_empty() {
            // Each of these counts as a read, so that a peer that floods leaves others the thread.
            let budget = std::task::ready!(tokio::task::coop::poll_proceed(cx));
            this.take_ahead(buf);
            this.count(&buf.filled()[before..]);
            budget.made_progress();
            return Poll::Ready(Ok(()));
        }
        loop {
            std::task::ready!(this.lane.poll_read_ready(cx))?;
            match this.read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => {
                    this.count(&buf.filled()[before..]);
                    return Poll::Ready(read);
                }
            }
        }
    }
}

impl AsyncWrite for LaneIo {
    /// Takes everything: the engine hands over runs of whole frames, and what the socket does not
    /// take now waits in the lane.
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self.0;
        let lane = this.lane.clone();
        let mut upgrading = false;
        let becomes = |frame: &[u8], payload: &[u8]| {
            upgrading |= is_upgrade(frame, payload);
            this.pass(frame, payload)
        };
        if !lane.pass(buf, becomes)? {
            return Poll::Ready(Ok(buf.len()));
        }
        if this.ping == FirstPing::Seen {
            lane.wake_reader();
        }
        if upgrading && !this.link.change_over(&lane, &this.context.hub) {
            return Poll::Ready(Err(io::ErrorKind::AlreadyExists.into()));
        }
        if this.upgrading {
            // The engine writes what it still had; the marker may have found no space before.
            this.link.go_over(&this.context.hub);
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A change of transport that failed would leave its polling session behind for ever; for
        // one that succeeded this says nothing new.
        if self.upgrading {
            self.link.close_polling();
        }
        if self.named {
            self.context.links.remove(&self.sid);
        }
        self.link.vacate(&self.lane);
        self.lane.finish();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::{config::Config, limits::AddressLimits, realtime::lane::Tolerance};

    /// The engine's stream of a session that speaks version 3, and the peer.
    async fn stream() -> (LaneIo, TcpStream, Arc<Context>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let lane = Lane::new(stream, Arc::new(Tolerance::for_tests()));
        let address = Ipv4Addr::LOCALHOST.into();
        let limits = AddressLimits::new(&Config::for_tests().limits);
        let link = Link::new(address, 0, None, true, limits.admit(address).unwrap());
        let context = Context::for_tests();
        (LaneIo::new(context.clone(), lane, &Bytes::new(), link, false), peer, context)
    }

    #[test]
    fn the_engines_stream_fits_between_its_tasks() {
        assert!(size_of::<Inner>() <= 104, "{}", size_of::<Inner>());
    }

    #[tokio::test]
    async fn what_is_read_ahead_comes_in_order_after_what_may_be_a_header() {
        let (mut io, mut peer, _) = stream().await;
        let sent: Vec<u8> = (0..10_000_u32).map(|n| n.to_le_bytes()[n as usize % 2]).collect();
        peer.write_all(&sent).await.unwrap();
        let mut read = Vec::new();
        let mut some = [0; 64];
        let first = io.read(&mut some).await.unwrap();
        assert!(first <= 14, "{first} bytes");
        read.extend_from_slice(&some[..first]);
        while read.len() < sent.len() {
            let more = io.read(&mut some).await.unwrap();
            assert_ne!(more, 0, "the end after {} bytes", read.len());
            read.extend_from_slice(&some[..more]);
        }
        assert_eq!(read, sent);
    }

    #[tokio::test]
    async fn a_link_is_found_by_the_engines_id_while_its_websocket_lives() {
        let (io, _peer, context) = stream().await;
        let (links, sid) = (&context.links, Sid::new());
        let mut io = io.named(true);
        let opened = frame::text(&[&format!(r#"0{{"sid":"{sid}"}}"#)]);
        io.write_all(&opened).await.unwrap();
        assert!(links.get(&sid).is_some_and(|link| link.upgrade().is_some()));
        drop(io);
        assert!(links.is_empty());
    }
}
