//! One connection of a client, carried to the upstream server and back byte for byte: nothing is
//! read as requests here, so nothing can be changed, put in another order or waited for. What is read
//! is a copy.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional},
    net::TcpStream,
    time::timeout,
};

use super::{
    copies::{Copier, Side},
    upstream::Upstream,
};

/// How long a client that can't be served may take to ask and to hear so.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);

/// A client's connection, of which every byte is copied that comes from it or is written to it. Both
/// are done by one task: what is asked is copied before its answer.
struct Copied {
    client: TcpStream,
    copier: Copier,
}

/// Carries a connection until both sides have ended it, or one has failed.
///
/// # Errors
/// When the upstream server takes no connection; the client was told.
pub(super) async fn carry(
    client: TcpStream,
    upstream: &Upstream,
    copier: Copier,
) -> io::Result<()> {
    match upstream.connect().await {
        Ok(mut server) => {
            let mut client = Copied { client, copier };
            // Whose connection breaks is nothing to tell of: the other side finds it broken, too.
            let _ = copy_bidirectional(&mut client, &mut server).await;
            Ok(())
        }
        Err(error) => {
            let _ = timeout(REFUSAL_TIMEOUT, refuse(client, &error)).await;
            Err(error)
        }
    }
}

/// Answers the first request, as a gateway does whose server is away (RFC 9110, section 15.6.3).
async fn refuse(mut client: TcpStream, error: &io::Error) -> io::Result<()> {
    let sentence = format!("The server behind `stoa observe` can't be reached: {error}.\n");
    let answer = format!(
        "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{sentence}",
        sentence.len()
    );
    let mut asked = [0; 4096];
    if client.read(&mut asked).await? == 0 {
        return Ok(());
    }
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await?;
    // What is left unread when a connection is closed takes the answer back.
    while client.read(&mut asked).await? > 0 {}
    Ok(())
}

impl AsyncRead for Copied {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.client).poll_read(cx, buffer))?;
        self.copier.copy(Side::Client, &buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Copied {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.client).poll_write(cx, bytes))?;
        self.copier.copy(Side::Server, &bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.client).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.client).poll_shutdown(cx)
    }
}
