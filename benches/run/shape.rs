//! The shapes of work, each against a server started for it alone.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::{
    load::{
        backend::Backend,
        chat,
        client::{Role, Seat},
        swarm::Swarm,
    },
    peers::{self, Peer, Server, Usage, Work},
};

const CONNECT_LIMIT: Duration = Duration::from_mins(1);
/// Naive presence among 5,000 users is 12 million frames.
const STORM_LIMIT: Duration = Duration::from_mins(2);
const SETTLE_LIMIT: Duration = Duration::from_mins(1);
/// Until the memory of connections that are gone has been given back.
const FORGOTTEN: Duration = Duration::from_secs(15);
const OBSERVERS: u32 = 10;
/// Users of a storm who share a conversation.
const CIRCLE: usize = 6;
/// Publications of a burst.
const BURST: u32 = 1000;
/// Where presence is not asked for, connections are of a few users, whose news are soon told.
const FEW_USERS: u32 = 50;
const CONVERSATIONS: u32 = 10;
const WRITERS_EACH: u32 = 5;

/// How long and how large measurements are.
pub struct Scale {
    /// Before a measurement.
    pub warm: Duration,
    /// A measurement of fan-out.
    pub measure: Duration,
    /// Connections where their number matters.
    pub connections: u32,
    /// Connections for which files may be open.
    pub files: usize,
}

/// A shape of work.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// One room of 200, one publication under way.
    One,
    /// One room of 200, 16 publications under way.
    Sixteen,
    /// 100 rooms of 10, one publication under way in each.
    Rooms,
    /// One room of 100 who poll, 1,000 publications at once, the next when all have all.
    Polling,
    /// The same, each kept: a backend publishes, where the server can keep events.
    PollingKept,
    /// Connections as fast as they come, 100 handshakes at a time, of 50 users.
    Connect,
    /// The same where nobody is told who is online.
    ConnectQuiet,
    /// Memory of idle connections: authenticated, each of its own user and in one room of ten.
    Memory,
    /// The same with ten times as many.
    MemoryLarge,
    /// Connections of as many users, 500 handshakes at a time, who all are told of each other.
    Storm,
    /// The same with four times as many.
    StormLarge,
    /// A storm where only those are told who share a conversation, six in each, and admins.
    StormContacts,
    /// 50 writers in 10 conversations, one message of each under way.
    Messages,
    /// The same with 8 messages of each under way.
    Pipelined,
}

/// A number that a shape yields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in JSON.
    pub key: &'static str,
    /// Its name in tables and plots.
    pub title: &'static str,
    /// Digits after the point.
    pub digits: usize,
}

/// What one measurement yielded. What has no number, because a limit passed, is not among them.
pub type Reading = Vec<(Metric, f64)>;

/// CPU time of the server, user and kernel, per delivery.
pub const CPU: Metric = metric("cpu_us_per_delivery", "CPU µs/delivery", 2);
/// Deliveries per second.
pub const RATE: Metric = metric("deliveries_per_s", "deliveries/s", 0);
/// Memory per connection above that of the server at rest.
pub const MEMORY: Metric = metric("kb_per_connection", "KB/connection", 1);
/// Connections per second.
pub const CONNECTS: Metric = metric("connects_per_s", "connects/s", 0);
/// How much of the time a server was ready to run and had no core.
pub const WAITED: Metric = metric("server_kept_waiting_percent", "kept waiting %", 0);
/// Connections that a server lost in a storm.
pub const LOST: Metric = metric("connections_lost", "lost", 0);
/// News that said what was known.
pub const STALE: Metric = metric("stale_news", "stale news", 0);
/// By how many the news of a storm were more or fewer than they were to be.
pub const MISCOUNTED: Metric = metric("news_miscounted", "miscounted", 0);
/// The most memory of a server in a storm.
pub const PEAK: Metric = metric("peak_rss_mb", "peak MB", 0);
/// From the first connection of a storm to the last news of it.
pub const ALL_TOLD: Metric = metric("all_told_s", "all told s", 2);

/// Messages acknowledged per second.
pub const ACKS: Metric = metric("acks_per_s", "acks/s", 0);
/// CPU time of the server, user and kernel, per message acknowledged.
pub const CPU_ACK: Metric = metric("cpu_us_per_ack", "CPU µs/ack", 0);

const STORED: Metric = metric("messages_stored", "stored", 0);
const P50: Metric = metric("p50_ms", "p50 ms", 2);
const P99: Metric = metric("p99_ms", "p99 ms", 2);
const DISORDERED: Metric = metric("out_of_order", "out of order", 0);
const SERVER: Metric = metric("server_busy_percent", "server busy %", 0);
const LOAD: Metric = metric("load_busy_percent", "load busy %", 0);
/// CPU time of the server per connection.
pub const CPU_CONNECT: Metric = metric("cpu_us_per_connect", "CPU µs/connect", 0);
const BEFORE: Metric = metric("rss_before_mb", "MB before", 1);
/// Memory that is still taken when all connections have ended, by their number.
pub const LEFT: Metric = metric("kb_left_per_connection", "KB left of each", 1);
const ALL_CONNECTED: Metric = metric("all_connected_s", "all connected s", 2);
const CPU_STORM: Metric = metric("cpu_s", "CPU s", 2);
const FRAMES: Metric = metric("news_frames", "frames of news", 0);
const CONNECTED: Metric = metric("connected", "connected", 0);

const fn metric(key: &'static str, title: &'static str, digits: usize) -> Metric {
    Metric { key, title, digits }
}

impl Shape {
    /// What it is, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::One => "1 room × 200, one in flight",
            Self::Sixteen => "1 room × 200, 16 in flight",
            Self::Rooms => "100 rooms × 10, one in flight each",
            Self::Polling => "1 room × 100 who poll, bursts of 1,000",
            Self::PollingKept => "1 room × 100 who poll, bursts of 1,000 kept events",
            Self::Connect => "connecting",
            Self::ConnectQuiet => "connecting, presence off",
            Self::Memory => "idle connections",
            Self::MemoryLarge => "ten times as many idle connections",
            Self::Storm => "connect storm, presence on",
            Self::StormLarge => "connect storm of four times as many, presence on",
            Self::StormContacts => "connect storm, presence among six each",
            Self::Messages => "50 writers in 10 conversations, one in flight each",
            Self::Pipelined => "50 writers in 10 conversations, 8 in flight each",
        }
    }

    /// In how many rounds it is measured: a storm takes minutes where presence is naive.
    pub fn rounds(self) -> u32 {
        let once = matches!(self, Self::Storm | Self::StormLarge | Self::StormContacts);
        if once { 1 } else { u32::MAX }
    }

    /// Connections of it where `connections` are those of a shape that is not large; fewer where
    /// `files` do not allow so many.
    pub fn connections(self, connections: u32, files: usize) -> u32 {
        let wanted = match self {
            Self::MemoryLarge => connections * 10,
            Self::StormLarge => connections * 4,
            _ => return connections,
        };
        u32::try_from(files).unwrap_or(u32::MAX).min(wanted)
    }

    /// Whether a server does that work at all: the ceiling has no polls, and the others keep nothing.
    pub fn is_for(self, peer: Peer) -> bool {
        match self {
            Self::One | Self::Sixteen | Self::Rooms | Self::Memory => true,
            _ if peer == Peer::Watched => false,
            Self::Polling => peer != Peer::Ceiling,
            Self::StormContacts | Self::ConnectQuiet | Self::MemoryLarge | Self::StormLarge => {
                peer.is_stoa()
            }
            Self::PollingKept => peer.is_stoa() || peer == Peer::Node,
            _ => true,
        }
    }

    /// What its servers have to serve.
    pub fn work(self) -> Work {
        match self {
            Self::Storm | Self::StormLarge => Work::Presence,
            Self::ConnectQuiet => Work::Quiet,
            Self::StormContacts => Work::Contacts,
            Self::Messages | Self::Pipelined => Work::Messages,
            _ => Work::Relay,
        }
    }

    /// Starts the server, does the work, stops the server.
    ///
    /// # Errors
    /// When a delivery is lost or doubled, or the server does not do its work in time.
    pub fn measure(self, peer: Peer, scale: &Scale) -> Result<Reading> {
        let connections = self.connections(scale.connections, scale.files);
        let server = Server::start(&peer.launch(self.work())?)?;
        let watch = peer.watch(&server)?;
        let mut swarm = Swarm::new(server.address())?;
        let reading = match self {
            Self::One => fan_out(&server, &mut swarm, (1, 200, Role::Member, 1), scale),
            Self::Sixteen => fan_out(&server, &mut swarm, (1, 200, Role::Member, 16), scale),
            Self::Rooms => fan_out(&server, &mut swarm, (100, 10, Role::Member, 1), scale),
            Self::Polling | Self::PollingKept => {
                swarm.in_bursts = true;
                if self == Self::PollingKept && peer.is_stoa() {
                    swarm.backend = Some(Backend::start(server.address())?);
                }
                fan_out(&server, &mut swarm, (1, 100, Role::Poller, BURST), scale)
            }
            Self::Connect | Self::ConnectQuiet => connect(&server, &mut swarm, connections),
            Self::Memory | Self::MemoryLarge => memory(&server, &mut swarm, connections),
            // Of each two of them the one who came first hears that the other came online, in both
            // dialects; of themselves each in the one; the observers of all.
            Self::Storm | Self::StormLarge if peer == Peer::Stoa => {
                let users = u64::from(connections);
                let news = users * users + 2 * u64::from(OBSERVERS) * users;
                storm(&server, &mut swarm, connections, Some(news))
            }
            Self::Storm | Self::StormLarge => storm(&server, &mut swarm, connections, None),
            Self::StormContacts => {
                let users: Vec<u32> = (0..connections).collect();
                let groups = users.chunks(CIRCLE);
                let begun = groups.map(|group| chat::begin_group(server.address(), group));
                begun.collect::<Result<Vec<_>>>()?;
                storm(&server, &mut swarm, connections, None)
            }
            Self::Messages => messages(peer, &server, &mut swarm, 1, scale),
            Self::Pipelined => messages(peer, &server, &mut swarm, 8, scale),
        };
        // Its threads for SQLite share its core with the one that serves: that is no other work.
        let reading = reading.map(|mut reading| {
            reading.retain(|(metric, _)| self != Self::PollingKept || *metric != WAITED);
            reading
        });
        // The server goes first: thousands of farewells are no part of the work.
        drop(server);
        drop(watch);
        reading
    }
}

fn fan_out(
    server: &Server,
    swarm: &mut Swarm,
    (rooms, members, member, window): (usize, u32, fn(usize) -> Role, u32),
    scale: &Scale,
) -> Result<Reading> {
    swarm.fill_rooms(rooms, (members, member), CONNECT_LIMIT)?;
    swarm.settle(SETTLE_LIMIT)?;
    let run = swarm.fan_out(window, scale.warm, scale.measure, || {
        Ok((server.usage()?.0, Usage::own()?.0, server.waited_s()?))
    })?;
    let elapsed_s = run.elapsed.as_secs_f64();
    let deliveries = run.deliveries as f64;
    let (server_s, load_s) = (run.after.0 - run.before.0, run.after.1 - run.before.1);
    let waited_s = (run.after.2 - run.before.2).max(0.0);
    Ok(vec![
        (CPU, server_s * 1e6 / deliveries),
        (RATE, deliveries / elapsed_s),
        (P50, run.p50_ms),
        (P99, run.p99_ms),
        (DISORDERED, run.disordered as f64),
        (SERVER, server_s * 100.0 / elapsed_s),
        (LOAD, load_s * 100.0 / elapsed_s),
        (WAITED, waited_s * 100.0 / elapsed_s),
    ])
}

fn connect(server: &Server, swarm: &mut Swarm, connections: u32) -> Result<Reading> {
    let seats: Vec<_> =
        (0..connections).map(|n| Seat { role: Role::Idle, user: n % FEW_USERS }).collect();
    let before = (server.usage()?.0, Usage::own()?.0);
    let connected = swarm.connect(&seats, 100, CONNECT_LIMIT)?;
    let (server_s, load_s) = (server.usage()?.0 - before.0, Usage::own()?.0 - before.1);
    let elapsed_s = connected.elapsed.as_secs_f64();
    Ok(vec![
        (CONNECTS, f64::from(connections) / elapsed_s),
        (CPU_CONNECT, server_s * 1e6 / f64::from(connections)),
        (P99, connected.p99_ms),
        (LOAD, load_s * 100.0 / elapsed_s),
    ])
}

fn memory(server: &Server, swarm: &mut Swarm, connections: u32) -> Result<Reading> {
    let before_kb = settled_rss_kb(server, swarm)?;
    let seats: Vec<_> =
        (0..connections).map(|n| Seat { role: Role::Member(n as usize / 10), user: n }).collect();
    swarm.connect(&seats, 100, CONNECT_LIMIT)?;
    swarm.settle(SETTLE_LIMIT)?;
    let after_kb = settled_rss_kb(server, swarm)?;
    swarm.leave();
    swarm.idle(FORGOTTEN)?;
    let per_connection = |kb: f64| (kb - before_kb) / f64::from(connections);
    Ok(vec![
        (CONNECTED, f64::from(connections)),
        (MEMORY, per_connection(after_kb)),
        (BEFORE, before_kb / 1024.0),
        (LEFT, per_connection(server.rss_kb()?)),
    ])
}

/// Memory once it has not grown or shrunk by 1 % within a second, at most 10 s from now.
fn settled_rss_kb(server: &Server, swarm: &mut Swarm) -> Result<f64> {
    let start = Instant::now();
    let mut last_kb = server.rss_kb()?;
    loop {
        swarm.idle(Duration::from_secs(1))?;
        let now_kb = server.rss_kb()?;
        if (now_kb - last_kb).abs() < last_kb / 100.0 || start.elapsed().as_secs() >= 10 {
            return Ok(now_kb);
        }
        last_kb = now_kb;
    }
}

/// A storm, after which all have received so many news, where that is known.
fn storm(
    server: &Server,
    swarm: &mut Swarm,
    connections: u32,
    news: Option<u64>,
) -> Result<Reading> {
    let observers: Vec<_> = (0..OBSERVERS)
        .map(|n| Seat { role: Role::Observer(n as usize), user: connections + n })
        .collect();
    swarm.tally.observe(OBSERVERS as usize, connections as usize);
    swarm.connect(&observers, 1, CONNECT_LIMIT)?;
    swarm.settle(SETTLE_LIMIT)?;
    ensure!(swarm.tally.untold == (OBSERVERS * connections) as usize, "news of nobody");
    let seats: Vec<_> = (0..connections).map(|user| Seat { role: Role::Idle, user }).collect();
    let (start, before) = (Instant::now(), server.usage()?.0);
    let news_before = swarm.tally.others;
    let connected = swarm.connect_stubbornly(&seats, 500, STORM_LIMIT)?;
    let all_connected = connected.clients == seats.len();
    let awaited = news_before + news.unwrap_or(0);
    let all_told = all_connected && swarm.await_news(awaited, STORM_LIMIT)?;
    let told_s = start.elapsed().as_secs_f64();
    if all_told {
        swarm.settle(SETTLE_LIMIT)?;
    }
    let (drops, reason) = &swarm.drops;
    if let Some(reason) = reason {
        eprintln!("{drops} connections were lost, the first because {reason:#}");
    }
    let mut reading = vec![(CONNECTED, connected.clients as f64)];
    reading.extend(all_connected.then_some((ALL_CONNECTED, connected.elapsed.as_secs_f64())));
    reading.extend(all_told.then_some((ALL_TOLD, told_s)));
    reading.extend([
        (P99, connected.p99_ms),
        (CPU_STORM, server.usage()?.0 - before),
        (FRAMES, (swarm.tally.others - news_before) as f64),
        (MISCOUNTED, news.map_or(0, |_| swarm.tally.others.abs_diff(awaited)) as f64),
        (LOST, *drops as f64),
        (STALE, swarm.tally.stale_news as f64),
        (PEAK, server.peak_rss_kb()? / 1024.0),
    ]);
    Ok(reading)
}

fn messages(
    peer: Peer,
    server: &Server,
    swarm: &mut Swarm,
    window: usize,
    scale: &Scale,
) -> Result<Reading> {
    let users: Vec<_> = (0..CONVERSATIONS * WRITERS_EACH).collect();
    let groups = users.chunks(WRITERS_EACH as usize);
    swarm.tally.chat.people = WRITERS_EACH;
    swarm.tally.chat.conversations = if peer.is_stoa() {
        groups.map(|group| chat::begin_group(server.address(), group)).collect::<Result<_>>()?
    } else {
        // The peer takes any id, so it gets some as long as Stoa's.
        groups.map(|group| format!("00000000-0000-7000-8000-{:012}", group[0])).collect()
    };
    let seats: Vec<_> = users
        .iter()
        .map(|&user| Seat { role: Role::Writer((user / WRITERS_EACH) as usize), user })
        .collect();
    swarm.connect(&seats, 10, CONNECT_LIMIT)?;
    swarm.settle(SETTLE_LIMIT)?;
    let run = swarm
        .chat(window, scale.warm, scale.measure, || Ok((server.usage()?.0, Usage::own()?.0)))?;
    let stored = peers::stored_messages(peer)?;
    ensure!(stored == run.in_all, "{} messages were acknowledged, {stored} stored", run.in_all);
    let elapsed_s = run.elapsed.as_secs_f64();
    let (server_s, load_s) = (run.after.0 - run.before.0, run.after.1 - run.before.1);
    Ok(vec![
        (ACKS, run.acknowledged as f64 / elapsed_s),
        (P50, run.p50_ms),
        (P99, run.p99_ms),
        (CPU_ACK, server_s * 1e6 / run.acknowledged as f64),
        (RATE, run.received as f64 / elapsed_s),
        (SERVER, server_s * 100.0 / elapsed_s),
        (LOAD, load_s * 100.0 / elapsed_s),
        (STORED, stored as f64),
    ])
}
