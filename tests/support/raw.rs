//! Bytes on a bare TCP connection: for what no well-behaved client does, and for thousands at once.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{packet, within_time};

/// A websocket's key, as RFC 6455 prints one.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The head of a websocket upgrade to the Socket.IO endpoint, with these headers on top.
pub fn upgrade_request(headers: &str) -> String {
    format!(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\n{headers}\r\n"
    )
}

/// Opens a websocket and sends CONNECT with the token, without waiting for the answer.
///
/// # Errors
/// When the connection fails, or the server does not switch protocols.
pub async fn raw_connect(address: SocketAddr, token: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let key = format!("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n");
    stream.write_all(upgrade_request(&key).as_bytes()).await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    if !head.ends_with(b" 101") {
        return Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()));
    }
    let connect = packet::connect("/", &serde_json::json!({ "token": token }));
    stream.write_all(&frame(0x81, &connect)).await?;
    Ok(stream)
}

/// A client's frame (RFC 6455, 5.2) masked with zeros, so that its text stays as it is. `head` is
/// the first byte: 0x81 a whole text, 0x01 the first part of one, 0x00 a part, 0x80 the last.
pub fn frame(head: u8, text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    let mut frame = vec![head];
    if length < 126 {
        frame.push(0x80 | length.to_be_bytes()[1]);
    } else {
        frame.push(0x80 | 0x7e);
        frame.extend(length.to_be_bytes());
    }
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

/// Cuts a connection with RST.
pub fn cut(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}

/// Sends bytes and reads what comes, until the server ends the connection; fails past the deadline.
pub async fn until_closed(
    address: SocketAddr,
    bytes: &[u8],
    deadline: std::time::Duration,
) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes).await.expect("bytes are taken");
    rest(&mut stream, deadline).await
}

/// Reads what comes until the server ends the connection; fails past the deadline.
pub async fn rest(stream: &mut TcpStream, deadline: std::time::Duration) -> String {
    let mut answer = Vec::new();
    // A reset is an end as good as any.
    let _ = within_time(deadline, "the server to close", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads until this text has come; what came.
pub async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    let found = async {
        while !String::from_utf8_lossy(&read).contains(text) {
            let bytes = stream.read_buf(&mut read).await.expect("bytes");
            assert_ne!(bytes, 0, "the connection ended before {text}");
        }
    };
    within_time(super::DEADLINE, text, found).await;
    String::from_utf8_lossy(&read).into_owned()
}

/// Sends a request and reads the status of its answer.
pub async fn status(address: SocketAddr, request: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("bytes are taken");
    let mut line = [0; 12];
    let read = stream.read_exact(&mut line);
    within_time(super::DEADLINE, "an answer", read).await.expect("an answer");
    let line = String::from_utf8_lossy(&line);
    line[9..].parse().unwrap_or_else(|_| panic!("a status line, not {line}"))
}
