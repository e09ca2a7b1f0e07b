//! The ceiling: what fan-out costs when nothing else is done. One epoll thread, a frame encoded
//! once, one write per recipient; no polling transport, no heartbeat, no limits.

use std::{
    collections::{HashMap, VecDeque},
    io::{ErrorKind, Read, Write},
};

use anyhow::{Context, Result, bail, ensure};
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::load::{frame, tally::find, token::Verifier};

const LISTENER: Token = Token(usize::MAX);
/// A connection that holds back more than this is given up.
const MAX_UNSENT: usize = 16 * 1024 * 1024;

/// A server that serves until it is killed.
pub struct Ceiling {
    poll: Poll,
    listener: TcpListener,
    verifier: Verifier,
    presence: bool,
    /// How many copies the `n`th delivery gets: one, but for checks of the load generator.
    copies: fn(u64) -> usize,
    deliveries: u64,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    rooms: HashMap<String, Vec<usize>>,
    online: HashMap<String, usize>,
    buffer: Vec<u8>,
    gone: VecDeque<usize>,
}

struct Peer {
    stream: TcpStream,
    upgraded: bool,
    user_id: Option<String>,
    rooms: Vec<String>,
    partial: Vec<u8>,
    unsent: Vec<u8>,
}

impl Ceiling {
    /// One that takes over a listener.
    ///
    /// # Errors
    /// When there is no epoll to be had.
    pub fn new(
        listener: std::net::TcpListener,
        presence: bool,
        copies: fn(u64) -> usize,
    ) -> Result<Self> {
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            verifier: Verifier::new(),
            presence,
            copies,
            deliveries: 0,
            peers: Vec::new(),
            free: Vec::new(),
            rooms: HashMap::new(),
            online: HashMap::new(),
            buffer: vec![0; 64 * 1024],
            gone: VecDeque::new(),
        })
    }

    /// Serves.
    ///
    /// # Errors
    /// When epoll or accept fail.
    pub fn run(mut self) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                let Token(index) = event.token();
                if event.token() == LISTENER {
                    self.accept()?;
                    continue;
                }
                if event.is_writable() {
                    self.write(index, &[]);
                }
                if event.is_readable() && self.read(index).is_err() {
                    self.gone.push_back(index);
                }
            }
            while let Some(index) = self.gone.pop_front() {
                self.remove(index);
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            stream.set_nodelay(true)?;
            let index = self.free.pop().unwrap_or_else(|| {
                self.peers.push(None);
                self.peers.len() - 1
            });
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(index), interest)?;
            self.peers[index] = Some(Peer {
                stream,
                upgraded: false,
                user_id: None,
                rooms: Vec::new(),
                partial: Vec::new(),
                unsent: Vec::new(),
            });
        }
    }

    fn read(&mut self, index: usize) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.read_through(index, &mut buffer);
        self.buffer = buffer;
        result
    }

    fn read_through(&mut self, index: usize, buffer: &mut [u8]) -> Result<()> {
        while let Some(peer) = &mut self.peers[index] {
            let partial = peer.partial.len();
            ensure!(partial < buffer.len(), "too long");
            buffer[..partial].copy_from_slice(&peer.partial);
            let read = match peer.stream.read(&mut buffer[partial..]) {
                Ok(0) => bail!("closed"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let bytes = &mut buffer[..partial + read];
            let taken = self.take(index, bytes)?;
            if let Some(peer) = &mut self.peers[index] {
                peer.partial.clear();
                peer.partial.extend_from_slice(&bytes[taken..]);
            }
        }
        Ok(())
    }

    fn take(&mut self, index: usize, bytes: &mut [u8]) -> Result<usize> {
        let peer = self.peers[index].as_mut().context("gone")?;
        let mut taken = 0;
        if !peer.upgraded {
            let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(0) };
            let head = std::str::from_utf8(&bytes[..end])?;
            let key = head
                .lines()
                .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
                .context("no websocket")?;
            let mut answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {}\r\n\r\n",
                derive_accept_key(key.as_bytes())
            )
            .into_bytes();
            peer.upgraded = true;
            let open = json!({ "sid": index.to_string(), "upgrades": [], "pingInterval": 25_000,
                "pingTimeout": 20_000, "maxPayload": 1_000_000 });
            frame::push_plain(&mut answer, frame::TEXT, format!("0{open}").as_bytes());
            self.write(index, &answer);
            taken = end + 4;
        }
        while let Some(found) = frame::first(&bytes[taken..])? {
            let end = taken + found.payload.end;
            let payload = &mut bytes[taken + found.payload.start..end];
            frame::apply(found.mask.context("not masked")?, payload);
            ensure!(found.opcode == frame::TEXT, "closed");
            self.packet(index, payload)?;
            taken = end;
        }
        Ok(taken)
    }

    fn packet(&mut self, index: usize, packet: &[u8]) -> Result<()> {
        match packet {
            [b'4', b'0', auth @ ..] => self.open(index, auth),
            [b'4', b'2', event @ ..] => self.event(index, event),
            _ => bail!("strange"),
        }
    }

    fn open(&mut self, index: usize, auth: &[u8]) -> Result<()> {
        let auth: Value = serde_json::from_slice(auth)?;
        let token = auth["token"].as_str().context("no token")?;
        let user_id = self.verifier.user_id(token)?;
        let peer = self.peers[index].as_mut().context("gone")?;
        peer.user_id = Some(user_id.clone());
        self.write(index, &text(&format!(r#"40{{"sid":"{index}"}}"#)));
        let connections = self.online.entry(user_id.clone()).or_default();
        *connections += 1;
        if self.presence && *connections == 1 {
            self.tell_all(index, "user:online", &user_id);
        }
        Ok(())
    }

    fn event(&mut self, index: usize, event: &[u8]) -> Result<()> {
        let start = event.iter().position(|&b| b == b'[').context("no event")?;
        let ack = std::str::from_utf8(&event[..start])?;
        let (name, argument): (String, Value) = serde_json::from_slice(&event[start..])?;
        let peer = self.peers[index].as_mut().context("gone")?;
        let user_id = peer.user_id.as_deref().context("not authenticated")?;
        match name.as_str() {
            "conversation:join" => {
                let id = argument.as_str().context("no id")?;
                peer.rooms.push(id.to_owned());
                self.rooms.entry(id.to_owned()).or_default().push(index);
                let room = format!("conversation:{id}");
                let answer = json!([{ "success": true, "conversationId": id, "room": room }]);
                self.write(index, &text(&format!("43{ack}{answer}")));
            }
            "typing:start" => {
                let id = argument["conversationId"].as_str().context("no id")?;
                let event = json!(["typing:start", { "userId": user_id,
                    "userName": argument["userName"], "conversationId": id }]);
                let frame = text(&format!("42{event}"));
                let members = self.rooms.remove(id).context("no such room")?;
                for &member in members.iter().filter(|&&member| member != index) {
                    for _ in 0..(self.copies)(self.deliveries) {
                        self.write(member, &frame);
                    }
                    self.deliveries += 1;
                }
                self.rooms.insert(id.to_owned(), members);
            }
            _ => bail!("strange"),
        }
        Ok(())
    }

    fn tell_all(&mut self, except: usize, name: &str, user_id: &str) {
        let frame = text(&format!("42{}", json!([name, { "userId": user_id }])));
        for index in (0..self.peers.len()).filter(|&index| index != except) {
            if self.peers[index].as_ref().is_some_and(|peer| peer.user_id.is_some()) {
                self.write(index, &frame);
            }
        }
    }

    /// Writes what was held back, then `frame`; keeps what the socket does not take.
    fn write(&mut self, index: usize, frame: &[u8]) {
        let Some(peer) = &mut self.peers[index] else { return };
        if !peer.unsent.is_empty() {
            peer.unsent.extend_from_slice(frame);
            match peer.stream.write(&peer.unsent) {
                Ok(written) => drop(peer.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => (),
                Err(_) => self.gone.push_back(index),
            }
        } else if !frame.is_empty() {
            match peer.stream.write(frame) {
                Ok(written) => peer.unsent.extend_from_slice(&frame[written..]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    peer.unsent.extend_from_slice(frame);
                }
                Err(_) => self.gone.push_back(index),
            }
        }
        if peer.unsent.len() > MAX_UNSENT {
            self.gone.push_back(index);
        }
    }

    fn remove(&mut self, index: usize) {
        let Some(peer) = self.peers[index].take() else { return };
        self.free.push(index);
        for room in peer.rooms {
            if let Some(members) = self.rooms.get_mut(&room) {
                members.retain(|&member| member != index);
            }
        }
        let Some(user_id) = peer.user_id else { return };
        if let Some(connections) = self.online.get_mut(&user_id) {
            *connections -= 1;
            if *connections == 0 && self.presence {
                self.tell_all(index, "user:offline", &user_id);
            }
        }
    }
}

fn text(packet: &str) -> Vec<u8> {
    let mut frame = Vec::with_capacity(packet.len() + 10);
    frame::push_plain(&mut frame, frame::TEXT, packet.as_bytes());
    frame
}
