//! All clients of a run under one epoll, and the work they do together.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use socket2::{Domain, Socket, Type};

use super::{
    client::{Client, Role},
    interrupt,
    tally::{MAX_WINDOW, Room, Tally},
    token,
};

const BUFFER: usize = 256 * 1024;
/// One loopback address has 28,000 ports to connect from; each takes fewer.
const PER_ADDRESS: usize = 20_000;
const PATIENCE: Duration = Duration::from_secs(15);
/// A doubled delivery comes within this time after the last one.
const QUIET: Duration = Duration::from_millis(300);

/// One client to be: what it does, and as which user.
pub struct Seat {
    /// What it does once connected.
    pub role: Role,
    /// The number of its user.
    pub user: u32,
}

/// What a fan-out run yielded between its two readings.
pub struct FanOut<R> {
    /// Deliveries in that time.
    pub deliveries: u64,
    /// Of all deliveries since the connections exist, those that overtook an earlier one.
    pub disordered: u64,
    /// The time.
    pub elapsed: Duration,
    /// Median latency of a delivery, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 deliveries took at most so long.
    pub p99_ms: f64,
    /// What was read at the start.
    pub before: R,
    /// What was read at the end.
    pub after: R,
}

/// What connecting took.
pub struct Connected {
    /// From the first connection begun to the last one ready.
    pub elapsed: Duration,
    /// 99 of 100 clients were ready within so many milliseconds.
    pub p99_ms: f64,
}

/// The clients of one run against one server.
pub struct Swarm {
    server: SocketAddr,
    poll: Poll,
    events: Option<Events>,
    buffer: Vec<u8>,
    clients: Vec<Client>,
    ready: usize,
    /// How long each client took from its first packet to its seat, in milliseconds.
    connecting_ms: Vec<f64>,
    /// What they counted.
    pub tally: Tally,
    /// How long deliveries may stay out before they count as lost.
    pub patience: Duration,
}

impl Swarm {
    /// None yet.
    ///
    /// # Errors
    /// When there is no epoll to be had.
    pub fn new(server: SocketAddr) -> Result<Self> {
        Ok(Self {
            server,
            poll: Poll::new()?,
            events: Some(Events::with_capacity(1024)),
            buffer: vec![0; BUFFER],
            clients: Vec::new(),
            ready: 0,
            connecting_ms: Vec::new(),
            tally: Tally::new(),
            patience: PATIENCE,
        })
    }

    /// Connects clients, `window` handshakes at a time, until each has its seat.
    ///
    /// # Errors
    /// When one is refused, or `limit` passes.
    pub fn connect(&mut self, seats: &[Seat], window: usize, limit: Duration) -> Result<Connected> {
        let tokens = seats.iter().map(|seat| token::sign(seat.user)).collect::<Result<Vec<_>>>()?;
        let before = self.clients.len();
        self.connecting_ms.clear();
        let start = Instant::now();
        let mut waiting = seats.iter().zip(tokens);
        while self.ready < before + seats.len() {
            while self.clients.len() - self.ready < window
                && let Some((seat, token)) = waiting.next()
            {
                self.add(seat.role, token)?;
            }
            self.turn(Duration::from_millis(100))?;
            ensure!(
                start.elapsed() < limit,
                "{} of {} clients were connected after {limit:?}",
                self.ready - before,
                seats.len()
            );
        }
        let elapsed = start.elapsed();
        self.connecting_ms.sort_by(f64::total_cmp);
        let p99_ms = self.connecting_ms[(seats.len() * 99).div_ceil(100) - 1];
        Ok(Connected { elapsed, p99_ms })
    }

    /// Fills `rooms` rooms, each with `members` who receive and one who publishes.
    ///
    /// # Errors
    /// As [`Swarm::connect`].
    pub fn fill_rooms(&mut self, rooms: usize, members: u32, limit: Duration) -> Result<()> {
        let mut seats = Vec::new();
        for room in 0..rooms {
            let roles = (0..members).map(|_| Role::Member(room)).chain([Role::Publisher(room)]);
            for role in roles {
                seats.push(Seat { role, user: u32::try_from(seats.len())? });
            }
            self.tally.rooms.push(Room::new(self.clients.len() + seats.len() - 1, members));
        }
        self.connect(&seats, 100, limit)?;
        Ok(())
    }

    /// Waits until nothing has come for a while.
    ///
    /// # Errors
    /// When it does not get quiet within `limit`.
    pub fn settle(&mut self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        let mut last = start;
        while last.elapsed() < QUIET {
            if self.turn(QUIET)? {
                last = Instant::now();
            }
            ensure!(start.elapsed() < limit, "it did not get quiet within {limit:?}");
        }
        Ok(())
    }

    /// Serves the connections for some time.
    ///
    /// # Errors
    /// When one of them fails.
    pub fn idle(&mut self, time: Duration) -> Result<()> {
        let start = Instant::now();
        while let Some(left) = time.checked_sub(start.elapsed()) {
            self.turn(left)?;
        }
        Ok(())
    }

    /// Publishes in all rooms, `window` publications of each under way, and counts deliveries
    /// between two readings: after `warm` and `measure` later. Then waits for what is still out.
    ///
    /// # Errors
    /// When a delivery is lost, doubled, or for someone else.
    pub fn fan_out<R>(
        &mut self,
        window: u32,
        warm: Duration,
        measure: Duration,
        mut read: impl FnMut() -> Result<R>,
    ) -> Result<FanOut<R>> {
        ensure!((1..=MAX_WINDOW).contains(&window), "no window of {window}");
        for room in 0..self.tally.rooms.len() {
            self.publish(room, window)?;
        }
        self.keep_publishing(window, warm)?;
        self.tally.latency.clear();
        let (start, delivered, before) = (Instant::now(), self.tally.deliveries, read()?);
        self.keep_publishing(window, measure)?;
        let (elapsed, after) = (start.elapsed(), read()?);
        let mut outcome = FanOut {
            deliveries: self.tally.deliveries - delivered,
            disordered: 0,
            elapsed,
            p50_ms: self.tally.latency.percentile_ms(50),
            p99_ms: self.tally.latency.percentile_ms(99),
            before,
            after,
        };
        self.drain()?;
        outcome.disordered = self.tally.disordered;
        Ok(outcome)
    }

    /// Serves the connections until the observers were told of all `users`; `false` when `limit`
    /// passes first.
    ///
    /// # Errors
    /// When an observer is told twice of a user.
    pub fn await_news(&mut self, limit: Duration) -> Result<bool> {
        let start = Instant::now();
        while self.tally.untold > 0 {
            if start.elapsed() > limit {
                return Ok(false);
            }
            self.turn(Duration::from_millis(100))?;
        }
        Ok(true)
    }

    fn keep_publishing(&mut self, window: u32, time: Duration) -> Result<()> {
        let start = Instant::now();
        let (mut delivered, mut progress) = (self.tally.deliveries, start);
        while start.elapsed() < time {
            self.turn(Duration::from_millis(100))?;
            while let Some(room) = self.tally.finished.pop() {
                self.publish(room, window)?;
            }
            if self.tally.deliveries > delivered {
                (delivered, progress) = (self.tally.deliveries, Instant::now());
            } else if progress.elapsed() > self.patience {
                bail!("no delivery for {:?}: {}", self.patience, self.missing());
            }
        }
        Ok(())
    }

    fn publish(&mut self, room: usize, window: u32) -> Result<()> {
        let publisher = self.tally.rooms[room].publisher;
        while self.tally.rooms[room].sent - self.tally.rooms[room].done < window {
            let number = self.tally.rooms[room].publish();
            self.clients[publisher].publish(room, number)?;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<()> {
        let start = Instant::now();
        while self.tally.rooms.iter().any(|room| room.done < room.sent) {
            ensure!(start.elapsed() < self.patience, "{}", self.missing());
            self.turn(Duration::from_millis(100))?;
        }
        self.tally.finished.clear();
        self.settle(self.patience)?;
        ensure!(self.tally.deliveries == self.awaited(), "{}", self.missing());
        Ok(())
    }

    fn missing(&self) -> String {
        let awaited = self.awaited();
        format!("{} of {awaited} deliveries were lost", awaited - self.tally.deliveries)
    }

    fn awaited(&self) -> u64 {
        self.tally.rooms.iter().map(|room| u64::from(room.sent) * u64::from(room.members)).sum()
    }

    fn add(&mut self, role: Role, token: String) -> Result<()> {
        let index = self.clients.len();
        let mut client = Client::new(open(self.server, index)?, role, token);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(client.stream(), Token(index), interest)?;
        self.clients.push(client);
        Ok(())
    }

    /// One round of epoll; whether anything came.
    fn turn(&mut self, timeout: Duration) -> Result<bool> {
        interrupt::check()?;
        let mut events = self.events.take().context("a turn within a turn")?;
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            polled => polled?,
        }
        for event in &events {
            let client = &mut self.clients[event.token().0];
            let was_ready = client.is_ready();
            if event.is_writable() {
                client.writable()?;
            }
            if event.is_readable() {
                client.readable(&mut self.buffer, &mut self.tally)?;
            }
            if client.is_ready() && !was_ready {
                self.ready += 1;
                self.connecting_ms.push(client.since.elapsed().as_secs_f64() * 1000.0);
            }
        }
        let came = !events.is_empty();
        self.events = Some(events);
        Ok(came)
    }
}

fn open(server: SocketAddr, index: usize) -> Result<TcpStream> {
    let host = u8::try_from(1 + index / PER_ADDRESS).context("too many connections")?;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if host > 1 {
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0)).into())?;
    }
    match socket.connect(&server.into()) {
        // EINPROGRESS: epoll tells when it is done.
        Err(error) if error.raw_os_error() != Some(115) => Err(error.into()),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}
