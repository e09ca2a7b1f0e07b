//! A websocket client that reads strictly: each frame byte by byte as RFC 6455 (section 5.2) says
//! that a server may write it, each packet as Socket.IO protocol v5 says.

use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpSocket,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{Seen, Violation, within};
use crate::event::{ClientEvent, Namespace};

/// No payload of a check is larger: a length beyond it has been read out of the middle of a frame.
const LARGEST: u64 = 100_000;

/// What a server writes over a websocket.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    Text(String),
    Pong(Vec<u8>),
    Close(u16),
    /// The connection ended, between two frames.
    End,
}

/// What a frame's text says.
#[derive(Debug, PartialEq)]
pub(super) enum Packet {
    Open,
    Ping,
    /// Ends a poll.
    Noop,
    /// The answer to a probe.
    Probed,
    Connected(Namespace),
    Event(Namespace, String),
    Acknowledged(Namespace, u64, String),
    Pong(Vec<u8>),
    Closed(u16),
    End,
}

pub(super) struct Reader {
    half: OwnedReadHalf,
    buffer: BytesMut,
    closed: bool,
}

pub(super) struct Writer(OwnedWriteHalf);

/// A websocket.
pub(super) struct Client {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    next_ack: u64,
}

impl Client {
    /// Opens an Engine.IO 4 session over a websocket.
    pub(super) async fn open(address: SocketAddr) -> Seen<Self> {
        let mut client = Self::upgrade(address, "EIO=4", None).await?;
        client.expect(&Packet::Open).await?;
        Ok(client)
    }

    /// Opens a session and connects to `/`.
    pub(super) async fn connected(address: SocketAddr) -> Seen<Self> {
        let mut client = Self::open(address).await?;
        client.connect(Namespace::Root).await?;
        Ok(client)
    }

    /// Opens a websocket; with a receive buffer of so many bytes, where that matters.
    pub(super) async fn upgrade(
        address: SocketAddr,
        query: &str,
        receive_buffer: Option<u32>,
    ) -> Seen<Self> {
        let connected = async {
            let socket = TcpSocket::new_v4()?;
            if let Some(bytes) = receive_buffer {
                socket.set_recv_buffer_size(bytes)?;
            }
            let mut stream = socket.connect(address).await?;
            stream.set_nodelay(true)?;
            let request = format!(
                "GET /socket.io/?{query}&transport=websocket HTTP/1.1\r\nHost: localhost\r\n\
                 Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            std::io::Result::Ok((stream, head))
        };
        let lost = |error: std::io::Error| Violation::Lost(format!("an upgrade: {error}"));
        let (stream, head) = within("an upgrade", connected).await?.map_err(lost)?;
        if !head.starts_with(b"HTTP/1.1 101") {
            return Err(Violation::Lost(String::from_utf8_lossy(&head).into_owned()));
        }
        let (read, write) = stream.into_split();
        let reader = Reader { half: read, buffer: BytesMut::new(), closed: false };
        Ok(Self { reader, writer: Writer(write), next_ack: 0 })
    }

    /// Connects to a namespace; nothing of it may come before the answer.
    pub(super) async fn connect(&mut self, namespace: Namespace) -> Seen<()> {
        self.send(&format!("40{}", prefix(namespace))).await?;
        self.expect_connected(namespace).await
    }

    /// The same with a user's token: who is somebody hears what is for everyone.
    pub(super) async fn connect_as(&mut self, namespace: Namespace, token: &str) -> Seen<()> {
        self.send(&format!(r#"40{}{{"token":"{token}"}}"#, prefix(namespace))).await?;
        self.expect_connected(namespace).await
    }

    /// Reads up to a namespace's CONNECT.
    pub(super) async fn expect_connected(&mut self, namespace: Namespace) -> Seen<()> {
        loop {
            match self.next().await? {
                Packet::Connected(connected) if connected == namespace => return Ok(()),
                Packet::Event(other, _) | Packet::Acknowledged(other, ..) if other != namespace => {
                }
                early => return Err(Violation::Order(format!("before CONNECT: {early:?}"))),
            }
        }
    }

    /// The next packet; pings are answered.
    pub(super) async fn next(&mut self) -> Seen<Packet> {
        loop {
            match within("a packet", self.reader.next()).await?? {
                Packet::Ping => self.send("3").await?,
                packet => return Ok(packet),
            }
        }
    }

    pub(super) async fn expect(&mut self, packet: &Packet) -> Seen<()> {
        let next = self.next().await?;
        if next == *packet {
            return Ok(());
        }
        Err(Violation::Order(format!("{next:?} instead of {packet:?}")))
    }

    /// Sends an event with a callback; the number of its acknowledgement.
    pub(super) async fn ask<P, A>(
        &mut self,
        namespace: Namespace,
        event: ClientEvent<P, A>,
        data: &impl Serialize,
    ) -> Seen<u64> {
        let ack = self.next_ack;
        self.next_ack += 1;
        self.send(&question(namespace, ack, event, data)).await?;
        Ok(ack)
    }

    /// Sends an event and reads up to its acknowledgement; the events before it, and the answer.
    pub(super) async fn asked<P, A>(
        &mut self,
        namespace: Namespace,
        event: ClientEvent<P, A>,
        data: &impl Serialize,
    ) -> Seen<(Vec<String>, String)> {
        let ack = self.ask(namespace, event, data).await?;
        let mut before = Vec::new();
        loop {
            match self.next().await? {
                Packet::Event(_, event) => before.push(event),
                Packet::Acknowledged(at, number, answer) if (at, number) == (namespace, ack) => {
                    return Ok((before, answer));
                }
                other => return Err(Violation::Order(format!("{other:?} before ack {ack}"))),
            }
        }
    }

    pub(super) async fn send(&mut self, text: &str) -> Seen<()> {
        self.writer.send(text).await
    }

    /// Numbers acknowledgements from here on.
    pub(super) fn continue_after(&mut self, next_ack: u64) {
        self.next_ack = next_ack;
    }
}

impl Reader {
    /// The next packet, pings too.
    pub(super) async fn next(&mut self) -> Seen<Packet> {
        Ok(match self.frame().await? {
            Frame::Text(text) => packet(&text)?,
            Frame::Pong(data) => Packet::Pong(data),
            Frame::Close(code) => Packet::Closed(code),
            Frame::End => Packet::End,
        })
    }

    /// Takes some bytes without looking at them; how many, none at the end.
    pub(super) async fn some(&mut self, most: usize) -> Seen<usize> {
        let mut scrap = vec![0; most];
        // A reset is an end as good as any.
        Ok(within("bytes", self.half.read(&mut scrap)).await?.unwrap_or(0))
    }

    async fn frame(&mut self) -> Seen<Frame> {
        loop {
            if let Some((frame, length)) = parse(&self.buffer)? {
                if self.closed {
                    return Err(Violation::Frame(format!("{frame:?} after a close frame")));
                }
                self.closed = matches!(frame, Frame::Close(_));
                self.buffer.advance(length);
                return Ok(frame);
            }
            let read = self.half.read_buf(&mut self.buffer).await;
            match read.map_err(|error| Violation::Lost(error.to_string()))? {
                0 if self.buffer.is_empty() => return Ok(Frame::End),
                0 => return Err(Violation::Frame("an end in the middle of a frame".into())),
                _ => {}
            }
        }
    }
}

impl Writer {
    pub(super) async fn send(&mut self, text: &str) -> Seen<()> {
        self.frames(&masked(0x81, text.as_bytes())).await
    }

    /// Bytes as they are.
    pub(super) async fn frames(&mut self, bytes: &[u8]) -> Seen<()> {
        let written = within("a write", self.0.write_all(bytes)).await?;
        written.map_err(|error| Violation::Lost(error.to_string()))
    }
}

/// A client's frame, masked with zeros, so that its payload stays as it is.
pub(super) fn masked(head: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![head];
    match u16::try_from(payload.len()).expect("a short payload") {
        short @ 0..126 => frame.push(0x80 | u8::try_from(short).expect("a byte")),
        medium => {
            frame.push(0x80 | 0x7e);
            frame.extend(medium.to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// An event with a callback.
pub(super) fn question<P, A>(
    namespace: Namespace,
    ack: u64,
    event: ClientEvent<P, A>,
    data: &impl Serialize,
) -> String {
    let data = serde_json::to_string(&(event.event().name, data)).expect("json");
    format!("42{}{ack}{data}", prefix(namespace))
}

const fn prefix(namespace: Namespace) -> &'static str {
    match namespace {
        Namespace::Root => "",
        Namespace::Chat => "/chat,",
        Namespace::Marketplace => "/marketplace,",
        Namespace::Admin => "/admin,",
    }
}

/// The first frame and its length; none while it is not whole.
fn parse(bytes: &[u8]) -> Seen<Option<(Frame, usize)>> {
    let bad = |what: &str| {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        Violation::Frame(format!("{what}: {start:?}"))
    };
    let [head, length, ..] = *bytes else { return Ok(None) };
    if !matches!(head, 0x81 | 0x88 | 0x8a) || length & 0x80 != 0 {
        return Err(bad("no frame begins like this"));
    }
    let (start, length) = match (length, bytes) {
        (126, [_, _, a, b, ..]) => (4, u64::from(u16::from_be_bytes([*a, *b]))),
        (127, [_, _, long @ ..]) if long.len() >= 8 => {
            (10, long[..8].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)))
        }
        (126 | 127, _) => return Ok(None),
        (short, _) => (2, u64::from(short)),
    };
    let shortest = match start {
        2 => 0,
        4 => 126,
        _ => 65_536,
    };
    if length < shortest || length > LARGEST || (head != 0x81 && start > 2) {
        return Err(bad("a length that nobody writes"));
    }
    let end = start + usize::try_from(length).expect("a length");
    let Some(payload) = bytes.get(start..end) else { return Ok(None) };
    let frame = match head {
        0x81 => Frame::Text(String::from_utf8(payload.into()).map_err(|_| bad("not UTF-8"))?),
        0x8a => Frame::Pong(payload.into()),
        _ => {
            let code = payload.first_chunk().copied().map_or(1005, u16::from_be_bytes);
            Frame::Close(code)
        }
    };
    Ok(Some((frame, end)))
}

/// The packet of a frame's text, or of a polling body.
pub(super) fn packet(text: &str) -> Seen<Packet> {
    let bad = || Violation::Frame(format!("no packet: {:?}", &text[..text.len().min(60)]));
    let (kind, rest) = text.split_at_checked(1).ok_or_else(bad)?;
    match (kind, rest) {
        ("0", _) => return Ok(Packet::Open),
        ("2", "") => return Ok(Packet::Ping),
        ("6", "") => return Ok(Packet::Noop),
        ("3", "probe") => return Ok(Packet::Probed),
        ("4", _) => {}
        _ => return Err(bad()),
    }
    let (kind, rest) = rest.split_at_checked(1).ok_or_else(bad)?;
    let (namespace, rest) = match rest.strip_prefix('/') {
        Some(_) => rest.split_once(',').ok_or_else(bad)?,
        None => ("/", rest),
    };
    let namespace = Namespace::from_path(namespace).ok_or_else(bad)?;
    let json = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, data) = rest.split_at(json);
    match (kind, number) {
        ("0", "") => Ok(Packet::Connected(namespace)),
        ("2", "") if data.ends_with(']') => Ok(Packet::Event(namespace, data.into())),
        ("3", number) if data.ends_with(']') => {
            let number = number.parse().map_err(|_| bad())?;
            Ok(Packet::Acknowledged(namespace, number, data.into()))
        }
        _ => Err(bad()),
    }
}
