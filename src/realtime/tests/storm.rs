//! The storm: a hundred clients, rooms over several shards, many publishers at once, payloads from
//! 10 bytes to 70 kB, acknowledgements and pings in between, small kernel buffers, clients of both
//! Engine.IO versions that come from polling when it begins, and one reader that stalls. No frame is broken, the healthy lose nothing, each room has one order, and the slow
//! one is told so and let go.
//!
//! Publishers go no faster than the healthy read, by a window of bytes that is smaller than what
//! may wait for one peer: no healthy reader can become a slow one, on however slow a machine.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Barrier, Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    JOIN, PAUSE, SAY, Say, Seen, Server, Violation,
    client::{Client, Packet, Reader, Writer, question},
    polling::Polling,
    room,
};
use crate::{
    event::Namespace,
    realtime::{events::SESSION_CLOSING, lane},
};

const CLIENTS: u32 = 100;
const ROOMS: u32 = 10;
const BROADCASTS: u32 = 20_000;
/// Tasks that publish without a client.
const PUBLISHERS: u32 = 6;
/// Each so many broadcasts are said by a client.
const SAID: u32 = 5;
/// Says of one client that are not acknowledged yet.
const SAID_AT_ONCE: usize = 8;
/// Bytes on the way to the healthy; a client that is in two namespaces gets them twice.
const WINDOW: usize = 300_000;

/// How long the whole may take: for what hangs, not for what is slow.
const DEADLINE: Duration = Duration::from_mins(3);

static PADDING: LazyLock<String> =
    LazyLock::new(|| ('a'..='z').chain('0'..='8').cycle().take(70_100).collect());

/// One broadcast: everything about it follows from its number.
#[derive(Clone, Copy)]
struct Broadcast(u32);

impl Broadcast {
    fn all() -> impl Iterator<Item = Self> {
        (0..BROADCASTS).map(Self)
    }

    /// The client that says it, if one does.
    fn speaker(self) -> Option<u32> {
        self.0.is_multiple_of(SAID).then_some(self.0 / SAID % CLIENTS)
    }

    fn publisher(self) -> u32 {
        self.0 % PUBLISHERS
    }

    /// A speaker's is one that it is in.
    fn room(self) -> u32 {
        self.speaker().map_or(self.0 / 7 % ROOMS, |speaker| speaker % ROOMS)
    }

    fn padding(self) -> &'static str {
        let length = match self.0 {
            n if n.is_multiple_of(401) && self.speaker().is_none() => 70_000,
            n if n.is_multiple_of(41) => 4_000,
            n => n * 31 % 240,
        };
        let start = self.0 as usize % 100;
        &PADDING[start..start + length as usize]
    }

    /// The number of an event, if it is whole and as it was sent.
    fn read(event: &str) -> Seen<Self> {
        let bad = || {
            let start = event.chars().take(80).collect::<String>();
            Violation::Frame(format!("not as it was sent: {start}"))
        };
        let rest = event.strip_prefix(r#"["check:told",{"number":"#).ok_or_else(bad)?;
        let (number, rest) = rest.split_once(r#","padding":""#).ok_or_else(bad)?;
        let told = Self(number.parse().map_err(|_| bad())?);
        let padding = rest.strip_suffix(r#""}]"#).ok_or_else(bad)?;
        if told.0 < BROADCASTS && padding == told.padding() { Ok(told) } else { Err(bad()) }
    }
}

fn rooms_of(client: u32) -> [u32; 2] {
    let one = client % ROOMS;
    [one, (one + 1 + client / ROOMS % (ROOMS - 1)) % ROOMS]
}

fn namespaces_of(client: u32) -> &'static [Namespace] {
    if client.is_multiple_of(3) { &[Namespace::Root, Namespace::Chat] } else { &[Namespace::Root] }
}

/// What is on the way.
struct Window {
    bytes: Semaphore,
    /// How many healthy connections are still to hear each broadcast.
    left: Vec<AtomicU32>,
}

impl Window {
    fn new() -> Arc<Self> {
        let mut hearers = [0; ROOMS as usize];
        for client in 0..CLIENTS {
            for room in rooms_of(client) {
                hearers[room as usize] += u32::try_from(namespaces_of(client).len()).expect("few");
            }
        }
        let left = Broadcast::all().map(|told| AtomicU32::new(hearers[told.room() as usize]));
        Arc::new(Self { bytes: Semaphore::new(WINDOW), left: left.collect() })
    }

    fn cost(told: Broadcast) -> u32 {
        u32::try_from(told.padding().len()).expect("a length") + 100
    }

    async fn begin(&self, told: Broadcast) {
        self.bytes.acquire_many(Self::cost(told)).await.expect("open").forget();
    }

    fn heard(&self, told: Broadcast) {
        if self.left[told.0 as usize].fetch_sub(1, Ordering::Relaxed) == 1 {
            self.bytes.add_permits(Self::cost(told) as usize);
        }
    }
}

/// What one connection of a client heard, in order.
type Heard = HashMap<(Namespace, u32), Vec<u32>>;

/// A healthy client: it reads as fast as it can, says its own, and checks what it can see alone.
struct Healthy {
    number: u32,
    /// What came by polling, and has not been taken.
    polled: VecDeque<Packet>,
    reader: Reader,
    to_writer: mpsc::UnboundedSender<String>,
    window: Arc<Window>,
    heard: Heard,
    /// What it has said and has no acknowledgement for.
    said: Arc<Semaphore>,
    acknowledged: u32,
}

/// A client that is in its rooms.
enum Joined {
    Websocket(Client),
    Polling(Polling),
}

impl Joined {
    async fn join(server: &Server, number: u32) -> Seen<Self> {
        if number % 4 == 1 {
            let mut polling = Polling::connected(server.address, number % 8 == 1).await?;
            for namespace in namespaces_of(number) {
                if *namespace != Namespace::Root {
                    polling.post("40/chat,").await?;
                    polling.expect(&Packet::Connected(*namespace)).await?;
                }
                for at in rooms_of(number) {
                    let ack = polling.ask(*namespace, JOIN, &room(at.into())).await?;
                    let joined = r#"[{"success":true}]"#.into();
                    polling.expect(&Packet::Acknowledged(*namespace, ack, joined)).await?;
                }
            }
            return Ok(Self::Polling(polling));
        }
        // Half of them have small buffers, too.
        let buffer = number.is_multiple_of(2).then_some(16 * 1024);
        let mut client = Client::upgrade(server.address, "EIO=4", buffer).await?;
        client.expect(&Packet::Open).await?;
        for namespace in namespaces_of(number) {
            client.connect(*namespace).await?;
            for at in rooms_of(number) {
                client.asked(*namespace, JOIN, &room(at.into())).await?;
            }
        }
        Ok(Self::Websocket(client))
    }
}

impl Healthy {
    /// Who polls changes to a websocket now.
    async fn begin(joined: Joined, window: Arc<Window>, number: u32) -> Seen<Self> {
        let (client, polled) = match joined {
            Joined::Websocket(client) => (client, VecDeque::new()),
            Joined::Polling(mut polling) => {
                let client = polling.upgrade().await?;
                (client, polling.rest().collect())
            }
        };
        let (to_writer, texts) = mpsc::unbounded_channel();
        tokio::spawn(write(client.writer, texts));
        let said = Arc::new(Semaphore::new(SAID_AT_ONCE));
        let (reader, heard) = (client.reader, Heard::new());
        Ok(Self { number, polled, reader, to_writer, window, heard, said, acknowledged: 0 })
    }

    /// Says what this client is to say, without waiting for more than a few acknowledgements.
    async fn say(
        number: u32,
        out: mpsc::UnboundedSender<String>,
        window: Arc<Window>,
        said: Arc<Semaphore>,
    ) {
        let own = Broadcast::all().filter(|told| told.speaker() == Some(number));
        for (ack, told) in own.enumerate() {
            window.begin(told).await;
            said.acquire().await.expect("open").forget();
            let say = Say {
                room: room(told.room().into()),
                number: told.0.into(),
                padding: told.padding().into(),
            };
            // When the writer has ended, the reader says why.
            let _ = out.send(question(Namespace::Root, 1000 + ack as u64, SAY, &say));
        }
    }

    async fn hear_all(mut self) -> Seen<Heard> {
        let own = Broadcast::all().filter(|told| told.speaker() == Some(self.number));
        let own: Vec<Broadcast> = own.collect();
        tokio::spawn(Self::say(
            self.number,
            self.to_writer.clone(),
            self.window.clone(),
            self.said.clone(),
        ));
        let rooms = rooms_of(self.number);
        let each = Broadcast::all().filter(|told| rooms.contains(&told.room())).count();
        let mut left = each * namespaces_of(self.number).len() + own.len();
        while left > 0 {
            left -= usize::from(self.take(&own).await?);
        }
        // Nothing comes twice: after all of it, only this answer.
        let _ = self.to_writer.send(question(Namespace::Root, 0, PAUSE, &0));
        while self.take(&own).await? {}
        Ok(self.heard)
    }

    /// Takes one packet; whether it was one of those that are counted.
    async fn take(&mut self, own: &[Broadcast]) -> Seen<bool> {
        let next = match self.polled.pop_front() {
            Some(packet) => packet,
            None => self.reader.next().await?,
        };
        match next {
            Packet::Event(namespace, event) => {
                let told = Broadcast::read(&event)?;
                self.heard.entry((namespace, told.room())).or_default().push(told.0);
                self.window.heard(told);
                Ok(true)
            }
            Packet::Acknowledged(Namespace::Root, 0, _) => Ok(false),
            Packet::Acknowledged(namespace, ack, answer) => {
                let told = own[self.acknowledged as usize];
                let next = 1000 + u64::from(self.acknowledged);
                if (namespace, ack) != (Namespace::Root, next) || answer != format!("[{}]", told.0)
                {
                    return Err(Violation::Order(format!("ack {ack} {answer} instead of {next}")));
                }
                let heard = self.heard.get(&(namespace, told.room()));
                if !heard.is_some_and(|heard| heard.iter().rev().any(|heard| *heard == told.0)) {
                    return Err(Violation::Order(format!("ack {ack} before its own broadcast")));
                }
                self.acknowledged += 1;
                self.said.add_permits(1);
                Ok(true)
            }
            Packet::Ping => {
                let _ = self.to_writer.send("3".into());
                Box::pin(self.take(own)).await
            }
            other => Err(Violation::Lost(format!("{other:?} to a healthy client"))),
        }
    }
}

async fn write(mut writer: Writer, mut texts: mpsc::UnboundedReceiver<String>) {
    while let Some(text) = texts.recv().await {
        if writer.send(&text).await.is_err() {
            return;
        }
    }
}

/// Joins every room, and from then on reads nothing.
async fn stall(server: &Server) -> Seen<Client> {
    let mut client = Client::upgrade(server.address, "EIO=4", Some(16 * 1024)).await?;
    client.expect(&Packet::Open).await?;
    client.connect(Namespace::Root).await?;
    for number in 0..ROOMS {
        client.asked(Namespace::Root, JOIN, &room(number.into())).await?;
    }
    Ok(client)
}

/// Waits until the server has given the slow one up, and reads on: whole frames, up to the word
/// that it was too slow. The numbers that it heard.
async fn read_on(server: Arc<Server>, mut client: Client) -> Seen<Vec<u32>> {
    let healthy: usize = (0..CLIENTS).map(|client| namespaces_of(client).len()).sum();
    let mut open = server.realtime.lifecycle.open.subscribe();
    open.wait_for(|open| *open == healthy).await.expect("a server");
    let mut heard = Vec::new();
    let mut told = false;
    loop {
        match client.reader.next().await? {
            Packet::Event(Namespace::Root, event) if event.contains(SESSION_CLOSING.name) => {
                told = event.contains("slow_consumer");
            }
            Packet::Event(Namespace::Root, event) if !told => {
                heard.push(Broadcast::read(&event)?.0);
            }
            Packet::Ping if !told => {}
            Packet::Closed(1001) if told => return Ok(heard),
            other => return Err(Violation::Order(format!("{other:?} to the slow one"))),
        }
    }
}

/// Runs the whole; what is wrong with what was seen.
async fn storm() -> Seen<()> {
    let server = Arc::new(Server::with(|config| {
        config.realtime.ping_interval = Duration::from_millis(300);
        // Only what waits for the slow one decides, not how long.
        config.realtime.ping_timeout = DEADLINE;
        config.realtime.stall_timeout = DEADLINE;
    }));
    let window = Window::new();
    let slow = stall(&server).await?;
    let mut tasks = JoinSet::new();
    let ready = Arc::new(Barrier::new((CLIENTS + PUBLISHERS + 1) as usize));
    for number in 0..CLIENTS {
        let (server, window, ready) = (server.clone(), window.clone(), ready.clone());
        tasks.spawn(async move {
            let joined = Joined::join(&server, number).await?;
            ready.wait().await;
            let client = Healthy::begin(joined, window, number).await?;
            client.hear_all().await.map(|heard| Some((number, heard)))
        });
    }
    for publisher in 0..PUBLISHERS {
        let (server, window, ready) = (server.clone(), window.clone(), ready.clone());
        tasks.spawn(async move {
            ready.wait().await;
            let own = |told: &Broadcast| told.speaker().is_none() && told.publisher() == publisher;
            for told in Broadcast::all().filter(own) {
                window.begin(told).await;
                server.tell(&room(told.room().into()), told.0.into(), told.padding());
            }
            Ok(None)
        });
    }
    let slow = tokio::spawn({
        let server = server.clone();
        async move {
            ready.wait().await;
            read_on(server, slow).await
        }
    });
    let mut heard = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        heard.extend(ended.expect("no panic")?);
    }
    check_orders(&heard)?;
    let slow = slow.await.expect("no panic")?;
    let reference =
        |room| heard.iter().find(|(c, _)| rooms_of(*c).contains(&room)).expect("a member");
    for number in 0..ROOMS {
        let of_room: Vec<u32> =
            slow.iter().copied().filter(|told| Broadcast(*told).room() == number).collect();
        let (_, heard) = reference(number);
        if !heard[&(Namespace::Root, number)].starts_with(&of_room) {
            return Err(Violation::Order(format!("the slow one heard room {number} otherwise")));
        }
    }
    Ok(())
}

/// Everyone in a room heard all of it, once, in one order, and each publisher's in its own.
fn check_orders(clients: &[(u32, Heard)]) -> Seen<()> {
    let mut orders: HashMap<u32, &Vec<u32>> = HashMap::new();
    for (client, heard) in clients {
        for ((namespace, room), numbers) in heard {
            let order = orders.entry(*room).or_insert(numbers);
            if *order != numbers {
                let at = order.iter().zip(numbers).position(|(one, other)| one != other);
                return Err(Violation::Order(format!(
                    "client {client} heard room {room} in {namespace:?} otherwise from {at:?} on"
                )));
            }
        }
    }
    for (room, order) in orders {
        let mut last: HashMap<(Option<u32>, u32), u32> = HashMap::new();
        for number in order {
            let told = Broadcast(*number);
            let of = (told.speaker(), if told.speaker().is_none() { told.publisher() } else { 0 });
            if last.insert(of, *number).is_some_and(|last| last >= *number) {
                return Err(Violation::Order(format!("{number} of room {room} came too late")));
            }
        }
        if order.len() != Broadcast::all().filter(|told| told.room() == room).count() {
            return Err(Violation::Lost(format!("only {} of room {room}", order.len())));
        }
    }
    Ok(())
}

fn run(on_thread_start: fn()) -> Seen<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(on_thread_start)
        .build()
        .expect("a runtime");
    let ended = runtime.block_on(async { tokio::time::timeout(DEADLINE, storm()).await });
    runtime.shutdown_background();
    ended.unwrap_or_else(|_| Err(Violation::Lost("waited for the end".into())))
}

#[test]
fn a_storm_breaks_no_frame_loses_nothing_and_keeps_each_rooms_order() {
    assert_eq!(run(|| {}), Ok(()));
}

/// The check can fail: with a lane that writes past what is pending, it does.
#[test]
fn a_storm_over_an_unruly_lane_is_seen() {
    let seen = run(lane::be_unruly);
    assert!(matches!(seen, Err(Violation::Frame(_) | Violation::Order(_))), "{seen:?}");
}
