//! The pace of a connection: how long it may stand still between two requests, and how long the
//! headers of one may take from their first byte on.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use futures_util::future::OptionFuture;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Where a connection stands. Cheap to clone.
#[derive(Clone)]
pub(super) struct Pace(Arc<Inner>);

struct Inner {
    phase: Mutex<Phase>,
    /// Told of another phase.
    changed: Notify,
    idle_timeout: Duration,
    header_timeout: Duration,
}

#[derive(Clone, Copy)]
enum Phase {
    /// Between two requests, since then.
    Idle(Instant),
    /// The end of an answer waits for a peer that takes it slowly. One that takes nothing at all is
    /// given up by the kernel (`TCP_USER_TIMEOUT`).
    Leaving,
    /// Headers are coming, since then.
    Headers(Instant),
    /// A request is being answered, which has limits of its own.
    Answering,
}

impl Pace {
    /// Of a connection whose first byte has come.
    pub(super) fn new(idle_timeout: Duration, header_timeout: Duration) -> Self {
        let phase = Mutex::new(Phase::Headers(Instant::now()));
        Self(Arc::new(Inner { phase, changed: Notify::new(), idle_timeout, header_timeout }))
    }

    /// The headers of a request are complete.
    pub(super) fn answering(&self) {
        self.set(Phase::Answering);
    }

    /// Waits until the connection has stood still for too long.
    pub(super) async fn overdue(&self) {
        loop {
            let Inner { idle_timeout, header_timeout, .. } = *self.0;
            let until = match self.phase() {
                Phase::Idle(since) => Some(since + idle_timeout),
                Phase::Headers(since) => Some(since + header_timeout),
                Phase::Leaving | Phase::Answering => None,
            };
            tokio::select! {
                Some(()) = OptionFuture::from(until.map(sleep_until)) => return,
                () = self.0.changed.notified() => {}
            }
        }
    }

    /// Bytes have come.
    fn heard(&self) {
        if matches!(self.phase(), Phase::Idle(_) | Phase::Leaving) {
            self.set(Phase::Headers(Instant::now()));
        }
    }

    /// Bytes were written, or none were since the peer takes none: what an answer has left behind
    /// goes out after its body is gone, and only then does the connection stand still.
    fn wrote(&self, waits: bool) {
        match self.phase() {
            Phase::Idle(_) | Phase::Leaving if waits => self.set(Phase::Leaving),
            Phase::Idle(_) | Phase::Leaving => self.set(Phase::Idle(Instant::now())),
            Phase::Headers(_) | Phase::Answering => {}
        }
    }

    fn phase(&self) -> Phase {
        *self.0.phase.lock()
    }

    fn set(&self, phase: Phase) {
        *self.0.phase.lock() = phase;
        self.0.changed.notify_one();
    }
}

/// A connection that tells its pace of what comes.
pub(super) struct Paced {
    /// What was read before.
    begin: Vec<u8>,
    stream: TcpStream,
    pace: Pace,
}

impl Paced {
    pub(super) fn new(begin: Vec<u8>, stream: TcpStream, pace: Pace) -> Self {
        Self { begin, stream, pace }
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.stream
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.begin.is_empty() {
            let mut begin = std::mem::take(&mut self.begin);
            let rest = begin.split_off(begin.len().min(buf.remaining()));
            buf.put_slice(&begin);
            self.begin = rest;
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.pace.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.pace.wrote(written.is_pending());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.pace.wrote(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The body of an answer; when it is gone, the connection is between two requests.
pub(super) struct Answer {
    body: Body,
    pace: Pace,
}

impl Answer {
    pub(super) fn new(body: Body, pace: Pace) -> Self {
        Self { body, pace }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.pace.set(Phase::Idle(Instant::now()));
    }
}

impl hyper::body::Body for Answer {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
