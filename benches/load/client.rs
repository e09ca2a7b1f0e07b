//! One client: from the upgrade request to its seat in a room, then a counter of what it receives.

use std::{
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use mio::{Registry, net::TcpStream};

use super::{
    backend::conversation,
    frame,
    polls::Polls,
    tally::{self, Inbox, Tally},
    token,
    writer::Writer,
};

/// As browsers ask, so that it is told what they are.
const UPGRADE: &[u8] = b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n\
    Host: 127.0.0.1\r\n\
    Connection: Upgrade\r\n\
    Upgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
    User-Agent: stoa-bench\r\n\r\n";

/// What a client does once it is connected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sits there.
    Idle,
    /// Receives what is said in this room.
    Member(usize),
    /// The same by polling.
    Poller(usize),
    /// Says it.
    Publisher(usize),
    /// Notes who comes online, in this row of the tally.
    Observer(usize),
    /// Writes messages in this conversation and receives those of the others.
    Writer(usize),
}

impl Role {
    fn room(self) -> Option<usize> {
        match self {
            Self::Member(room)
            | Self::Poller(room)
            | Self::Publisher(room)
            | Self::Writer(room) => Some(room),
            Self::Idle | Self::Observer(_) => None,
        }
    }
}

/// One client to be.
#[derive(Clone, Copy)]
pub struct Seat {
    /// What it does once connected.
    pub role: Role,
    /// The number of its user.
    pub user: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Upgrading,
    Opening,
    Authenticating,
    Joining,
    Ready,
    Lost,
}

/// A connection and where it stands.
pub struct Client {
    stream: TcpStream,
    seat: Seat,
    token: String,
    stage: Stage,
    /// When it began to connect, for the first time.
    pub since: Instant,
    inbox: Inbox,
    writer: Writer,
    /// Unless it has a websocket.
    polls: Option<Polls>,
    /// What came of a frame that is not whole yet.
    partial: Vec<u8>,
    /// What the socket did not take yet.
    unsent: Vec<u8>,
}

impl Client {
    /// One whose connection is under way.
    ///
    /// # Errors
    /// When its token cannot be signed.
    pub fn new(stream: TcpStream, seat: Seat) -> Result<Self> {
        Ok(Self {
            stream,
            seat,
            // Admins are told of everyone, whoever else is.
            token: match seat.role {
                Role::Observer(_) => token::of_an_admin(seat.user)?,
                _ => token::sign(seat.user)?,
            },
            stage: Stage::Connecting,
            since: Instant::now(),
            inbox: Inbox::default(),
            writer: Writer::default(),
            polls: matches!(seat.role, Role::Poller(_)).then(Polls::default),
            partial: Vec::new(),
            unsent: Vec::new(),
        })
    }

    /// Gives up its connection.
    pub fn lose(&mut self, registry: &Registry, tally: &mut Tally) {
        // Errors here say that there is no connection any more.
        drop(registry.deregister(&mut self.stream));
        drop(self.stream.shutdown(Shutdown::Both));
        self.stage = Stage::Lost;
        if let Role::Observer(row) = self.seat.role {
            tally.forget(row);
        }
    }

    /// Begins anew on another connection.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn reconnect(&mut self, stream: TcpStream) -> Result<()> {
        let since = self.since;
        *self = Self { since, ..Self::new(stream, self.seat)? };
        Ok(())
    }

    /// Whether it has no connection.
    pub fn is_lost(&self) -> bool {
        self.stage == Stage::Lost
    }

    /// Whether it is authenticated and in its room.
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// The socket may take bytes.
    ///
    /// # Errors
    /// When the connection failed.
    pub fn writable(&mut self) -> Result<()> {
        if self.stage == Stage::Connecting {
            if let Some(error) = self.stream.take_error()? {
                bail!("could not connect: {error}");
            }
            if self.stream.peer_addr().is_err() {
                return Ok(());
            }
            self.stream.set_nodelay(true)?;
            if self.polls.is_some() {
                self.stage = Stage::Opening;
                self.unsent = Polls::open();
            } else {
                self.stage = Stage::Upgrading;
                self.unsent.extend_from_slice(UPGRADE);
            }
        }
        self.flush()
    }

    /// Reads all that is there, through `buffer`.
    ///
    /// # Errors
    /// When the server closes, refuses, or says what is not awaited.
    pub fn readable(&mut self, buffer: &mut [u8], tally: &mut Tally) -> Result<()> {
        if self.stage == Stage::Connecting {
            return Ok(());
        }
        loop {
            let partial = self.partial.len();
            ensure!(partial < buffer.len(), "a frame is longer than the buffer");
            buffer[..partial].copy_from_slice(&self.partial);
            let room = buffer.len() - partial;
            let read = match self.stream.read(&mut buffer[partial..]) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let bytes = &buffer[..partial + read];
            let taken = match self.polls.take() {
                Some(polls) => self.take_answer(polls, bytes, tally)?,
                None => self.take(bytes, tally)?,
            };
            self.partial.clear();
            self.partial.extend_from_slice(&bytes[taken..]);
            // Less than there was room for: the socket is empty (epoll(7), on edges).
            if read < room {
                return Ok(());
            }
        }
    }

    /// Says a publication to its room: `typing:start`, an argument of 64 bytes.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn publish(&mut self, room: usize, number: u32) -> Result<()> {
        let mark = tally::mark(room, number);
        let event = format!(
            r#"42["typing:start",{{"conversationId":"{}","userName":"{mark}....."}}]"#,
            conversation(room)
        );
        self.send(event.as_bytes())
    }

    /// Writes as many messages as may be under way, if that is what it does.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn write(&mut self, tally: &mut Tally) -> Result<()> {
        let Role::Writer(conversation) = self.seat.role else { return Ok(()) };
        while let Some(packet) = self.writer.write(conversation, self.seat.user, &mut tally.chat) {
            self.send(packet.as_bytes())?;
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], tally: &mut Tally) -> Result<usize> {
        let now = Instant::now();
        let mut taken = 0;
        if self.stage == Stage::Upgrading {
            let Some(end) = tally::find(bytes, b"\r\n\r\n") else { return Ok(0) };
            let head = String::from_utf8_lossy(&bytes[..end]);
            ensure!(head.starts_with("HTTP/1.1 101 "), "the upgrade was refused: {head}");
            self.stage = Stage::Opening;
            taken = end + 4;
        }
        let notes_news = matches!(self.seat.role, Role::Observer(_));
        loop {
            if !notes_news {
                let (news, length) = frame::news(&bytes[taken..]);
                tally.others += news;
                taken += length;
            }
            let Some(found) = frame::first(&bytes[taken..])? else { break };
            let payload = &bytes[taken..][found.payload.clone()];
            match found.opcode {
                frame::TEXT => self.packet(payload, tally, now)?,
                frame::PING => self.push(frame::PONG, payload)?,
                frame::CLOSE => bail!("the server closed a connection with a close frame"),
                other => bail!("a frame of kind {other} came"),
            }
            taken += found.payload.end;
        }
        Ok(taken)
    }

    /// Takes an answer, when it has come whole, and asks anew.
    fn take_answer(&mut self, mut polls: Polls, bytes: &[u8], tally: &mut Tally) -> Result<usize> {
        let now = Instant::now();
        let answer = polls.answer(bytes)?;
        self.polls = Some(polls);
        let Some((packets, taken)) = answer else { return Ok(0) };
        for packet in packets {
            self.packet(packet, tally, now)?;
        }
        if let Some(polls) = &mut self.polls {
            self.unsent.extend(polls.next());
        }
        self.flush()?;
        Ok(taken)
    }

    #[inline]
    fn packet(&mut self, payload: &[u8], tally: &mut Tally, now: Instant) -> Result<()> {
        if payload.starts_with(b"42") {
            return self.event(payload, tally, now);
        }
        match (self.stage, payload) {
            (_, b"2") => self.send(b"3"),
            (Stage::Opening, [b'0', ..]) => {
                self.stage = Stage::Authenticating;
                let connect = format!(r#"40{{"token":"{}"}}"#, self.token);
                self.send(connect.as_bytes())
            }
            (Stage::Authenticating, [b'4', b'0', ..]) => {
                let Some(room) = self.seat.role.room() else {
                    self.ready();
                    return Ok(());
                };
                self.stage = Stage::Joining;
                let made = tally.chat.conversations.get(room);
                let id = made.map_or_else(|| conversation(room), String::clone);
                let join = format!(r#"420["conversation:join","{id}"]"#);
                self.send(join.as_bytes())
            }
            (Stage::Joining, [b'4', b'3', b'0', ..]) => {
                let joined = tally::find(payload, br#""success":true"#);
                joined.with_context(|| format!("the join was refused: {}", text(payload)))?;
                self.ready();
                Ok(())
            }
            (Stage::Ready, [b'4', b'3', answer @ ..]) => {
                self.writer.acknowledged(answer, &mut tally.chat, now)?;
                self.write(tally)
            }
            _ => bail!("an unexpected packet came: {}", text(payload)),
        }
    }

    #[inline]
    fn event(&mut self, payload: &[u8], tally: &mut Tally, now: Instant) -> Result<()> {
        if payload.starts_with(br#"42["typing:start","#) {
            let (Role::Member(room) | Role::Poller(room)) = self.seat.role else {
                bail!("a publication reached one who was not to hear it");
            };
            return tally.deliver(room, &mut self.inbox, payload, now);
        }
        if payload.starts_with(br#"42["message:new","#) {
            let mark = tally.read_mark(payload)?;
            return self.writer.received(self.seat.user, mark, &mut tally.chat);
        }
        tally.others += 1;
        if payload.starts_with(br#"42["error""#) {
            bail!("the server answered an error: {}", text(payload));
        }
        if let Role::Observer(row) = self.seat.role {
            if payload.starts_with(br#"42["user:online","#) {
                return tally.news(row, payload, true);
            }
            if payload.starts_with(br#"42["user:offline","#) {
                return tally.news(row, payload, false);
            }
        }
        Ok(())
    }

    fn ready(&mut self) {
        self.stage = Stage::Ready;
        self.token = String::new();
    }

    fn send(&mut self, packet: &[u8]) -> Result<()> {
        if let Some(polls) = &mut self.polls {
            polls.send(packet);
            return Ok(());
        }
        self.push(frame::TEXT, packet)
    }

    fn push(&mut self, opcode: u8, payload: &[u8]) -> Result<()> {
        frame::push_masked(&mut self.unsent, opcode, payload);
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn text(payload: &[u8]) -> String {
    String::from_utf8_lossy(&payload[..payload.len().min(200)]).into_owned()
}
