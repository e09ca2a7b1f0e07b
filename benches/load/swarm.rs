//! All clients of a run under one epoll, and the work they do together.

use std::{
    collections::VecDeque,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context, Error, Result, bail, ensure};
use mio::{Events, Interest, Poll, Token, event::Event, net::TcpStream};
use socket2::{Domain, Socket, Type};

use super::{
    backend::Backend,
    client::{Client, Role, Seat},
    interrupt,
    tally::{MAX_WINDOW, Room, Tally},
};

const BUFFER: usize = 512 * 1024;
/// One loopback address has 28,000 ports to connect from. The kernel looks long for one that is free
/// where many are not: a millisecond a connection with 15,000 of them.
const PER_ADDRESS: usize = 2000;
const PATIENCE: Duration = Duration::from_secs(15);
/// News that have not come so long after the last ones do not come.
const NEWS_PATIENCE: Duration = Duration::from_secs(5);
/// Socket.IO's client waits so long before it connects again.
const RECONNECT: Duration = Duration::from_secs(1);
const EINPROGRESS: i32 = 115;
/// A doubled delivery comes within this time after the last one.
const QUIET: Duration = Duration::from_millis(300);

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
    /// How many clients were ready in the end.
    pub clients: usize,
    /// From the first connection begun to the last one ready, or until the limit.
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
    /// Clients that lost their connection and when they try again, if they may.
    again: Option<VecDeque<(Instant, usize)>>,
    /// How often clients had to connect again, and why the first one had to.
    pub drops: (u64, Option<Error>),
    /// How long each client took from its first packet to its seat, in milliseconds.
    connecting_ms: Vec<f64>,
    /// What they counted.
    pub tally: Tally,
    /// Who publishes, where it is not one of the clients.
    pub backend: Option<Backend>,
    /// Whether the next publications go out only when all have reached all.
    pub in_bursts: bool,
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
            again: None,
            drops: (0, None),
            connecting_ms: Vec::new(),
            tally: Tally::new(),
            backend: None,
            in_bursts: false,
            patience: PATIENCE,
        })
    }

    /// Connects clients, `window` handshakes at a time, until each has its seat.
    ///
    /// # Errors
    /// When one is refused, or `limit` passes.
    pub fn connect(&mut self, seats: &[Seat], window: usize, limit: Duration) -> Result<Connected> {
        let connected = self.connect_within(seats, window, limit)?;
        ensure!(
            connected.clients == seats.len(),
            "{} of {} clients were connected after {limit:?}",
            connected.clients,
            seats.len()
        );
        Ok(connected)
    }

    /// Connects clients until each has its seat or `limit` passes. Those that lose their
    /// connection, then and later, connect again, as clients in a browser do.
    ///
    /// # Errors
    /// When no sockets are left.
    pub fn connect_stubbornly(
        &mut self,
        seats: &[Seat],
        window: usize,
        limit: Duration,
    ) -> Result<Connected> {
        self.again = Some(VecDeque::new());
        self.connect_within(seats, window, limit)
    }

    fn connect_within(
        &mut self,
        seats: &[Seat],
        window: usize,
        limit: Duration,
    ) -> Result<Connected> {
        let before = self.clients.len();
        self.connecting_ms.clear();
        let start = Instant::now();
        let mut waiting = seats.iter();
        while self.ready < before + seats.len() && start.elapsed() < limit {
            while self.clients.len() - self.ready < window
                && let Some(&seat) = waiting.next()
            {
                let client = Client::new(self.open(self.clients.len())?, seat)?;
                self.clients.push(client);
            }
            self.round(Duration::from_millis(100))?;
        }
        let (clients, elapsed) = (self.ready.saturating_sub(before), start.elapsed());
        self.connecting_ms.sort_by(f64::total_cmp);
        let rank = (self.connecting_ms.len() * 99).div_ceil(100).max(1);
        let p99_ms = self.connecting_ms.get(rank - 1).copied().unwrap_or(f64::NAN);
        Ok(Connected { clients, elapsed, p99_ms })
    }

    /// Ends all connections.
    pub fn leave(&mut self) {
        self.clients.clear();
        self.ready = 0;
    }

    /// Fills `rooms` rooms, each with `members` who receive and one who publishes.
    ///
    /// # Errors
    /// As [`Swarm::connect`].
    pub fn fill_rooms(
        &mut self,
        rooms: usize,
        (members, member): (u32, fn(usize) -> Role),
        limit: Duration,
    ) -> Result<()> {
        let mut seats = Vec::new();
        for room in 0..rooms {
            // A backend is in no room.
            let publisher = self.backend.as_ref().map_or(Role::Publisher(room), |_| Role::Idle);
            let roles = (0..members).map(|_| member(room)).chain([publisher]);
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
            if self.round(QUIET)? {
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
            self.round(left)?;
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

    /// Lets all who write messages begin.
    ///
    /// # Errors
    /// When a connection is gone.
    pub(super) fn write(&mut self) -> Result<()> {
        self.clients.iter_mut().try_for_each(|client| client.write(&mut self.tally))
    }

    /// Serves the connections until the observers were told of all users, and everyone together of
    /// `others`; whether that came to pass before `limit`, or before nothing more came for a while.
    ///
    /// # Errors
    /// When a connection fails that may not.
    pub fn await_news(&mut self, others: u64, limit: Duration) -> Result<bool> {
        let start = Instant::now();
        let mut last = start;
        let is_done = |tally: &Tally| tally.untold == 0 && tally.others >= others;
        while !is_done(&self.tally) && start.elapsed() < limit && last.elapsed() < NEWS_PATIENCE {
            if self.round(Duration::from_millis(100))? {
                last = Instant::now();
            }
        }
        Ok(is_done(&self.tally))
    }

    fn keep_publishing(&mut self, window: u32, time: Duration) -> Result<()> {
        let start = Instant::now();
        let (mut delivered, mut progress) = (self.tally.deliveries, start);
        while start.elapsed() < time {
            self.round(Duration::from_millis(100))?;
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
        if self.in_bursts && self.tally.rooms[room].sent > self.tally.rooms[room].done {
            return Ok(());
        }
        while self.tally.rooms[room].sent - self.tally.rooms[room].done < window {
            let number = self.tally.rooms[room].publish();
            match &self.backend {
                Some(backend) => backend.publish(room, number)?,
                None => self.clients[publisher].publish(room, number)?,
            }
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<()> {
        let start = Instant::now();
        while self.tally.rooms.iter().any(|room| room.done < room.sent) {
            ensure!(start.elapsed() < self.patience, "{}", self.missing());
            self.round(Duration::from_millis(100))?;
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

    /// One round of epoll; whether anything came.
    fn round(&mut self, timeout: Duration) -> Result<bool> {
        interrupt::check()?;
        let mut events = self.events.take().context("a turn within a turn")?;
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            polled => polled?,
        }
        for event in &events {
            self.serve(event)?;
        }
        let came = !events.is_empty();
        self.events = Some(events);
        self.connect_again()?;
        Ok(came)
    }

    fn serve(&mut self, event: &Event) -> Result<()> {
        let Token(index) = event.token();
        let client = &mut self.clients[index];
        if client.is_lost() {
            return Ok(());
        }
        let was_ready = client.is_ready();
        let mut outcome = Ok(());
        if event.is_writable() {
            outcome = client.writable();
        }
        if event.is_readable() && outcome.is_ok() {
            outcome = client.readable(&mut self.buffer, &mut self.tally);
        }
        match (outcome, &mut self.again) {
            (Ok(()), _) if client.is_ready() && !was_ready => {
                self.ready += 1;
                self.connecting_ms.push(client.since.elapsed().as_secs_f64() * 1000.0);
            }
            (Ok(()), _) => (),
            (Err(reason), None) => return Err(reason),
            (Err(reason), Some(again)) => {
                self.ready -= usize::from(was_ready);
                self.drops.0 += 1;
                self.drops.1.get_or_insert(reason);
                client.lose(self.poll.registry(), &mut self.tally);
                again.push_back((Instant::now() + RECONNECT, index));
            }
        }
        Ok(())
    }

    fn connect_again(&mut self) -> Result<()> {
        while let Some(&(due, index)) = self.again.as_ref().and_then(VecDeque::front)
            && due <= Instant::now()
        {
            self.again.as_mut().and_then(VecDeque::pop_front);
            let stream = self.open(index)?;
            self.clients[index].reconnect(stream)?;
        }
        Ok(())
    }

    /// Begins a connection; epoll tells when it is made.
    fn open(&self, index: usize) -> Result<TcpStream> {
        let host = u8::try_from(1 + index / PER_ADDRESS).context("too many connections")?;
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if host > 1 {
            socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0)).into())?;
        }
        match socket.connect(&self.server.into()) {
            Err(error) if error.raw_os_error() != Some(EINPROGRESS) => return Err(error.into()),
            _ => (),
        }
        let mut stream = TcpStream::from_std(socket.into());
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(index), interest)?;
        Ok(stream)
    }
}
