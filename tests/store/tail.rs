//! The tail of two nodes on one Postgres, and clients that leave at any moment, also in the middle of a
//! replay, and come back on either node with nothing but an offset: each hears every event of its
//! streams once and in order. The same clients with an offset that is simplified, or without holding
//! what comes meanwhile, do not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use stoa::{
    clock::Clock,
    db::{self, Absence, Db, Portion, Reach, Tx},
    error::{Code, Error, Result},
    id::Id,
    stream::{CommittedEvent, DomainEvent, Stream, WireEvent},
};
use tokio::time::{Duration, Instant, sleep};

use super::engine::{Store, in_time};
use crate::support::{eventually, postgres::Postgres};

const STREAMS: usize = 8;
const CLIENTS: usize = 16;
const WRITERS: usize = 6;

/// What is made simpler than it is.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// The offset is one position.
    OnePosition,
    /// What comes while a replay is read is not held.
    NothingHeld,
}

fn stream(number: usize) -> Stream {
    Stream::Other(Id::new(&format!("s{number}")).expect("an id"))
}

/// Happens in one stream or two.
struct Both(Vec<Stream>);

impl DomainEvent for Both {
    fn streams(&self) -> Vec<Stream> {
        self.0.clone()
    }

    fn render(&self, _: i64) -> Vec<WireEvent> {
        let rooms: Vec<_> = self.0.iter().map(|stream| format!("\"{}\"", room(stream))).collect();
        let wire = format!(r#"{{"to":{{"rooms":[{}]}},"event":"x","data":1}}"#, rooms.join(","));
        vec![serde_json::from_str(&wire).expect("a wire event")]
    }
}

/// The room of a stream has its id.
fn room(stream: &Stream) -> String {
    stream.to_string().trim_start_matches("other/").to_owned()
}

/// One node: who is connected to it, and how far it has sent to them.
struct Node {
    db: Db,
    state: Mutex<Sending>,
}

#[derive(Default)]
struct Sending {
    clients: BTreeMap<usize, Arc<Client>>,
    sent: Option<Reach>,
}

impl Node {
    async fn open(store: &Store) -> Arc<Self> {
        let db = store.reopen().await.expect("a node");
        let node = Arc::new(Self { db, state: Mutex::default() });
        let hearing = node.clone();
        node.db.set_commit_listener(Arc::new(move |event, reach| {
            let mut state = hearing.state.lock();
            state.sent = Some(reach.clone());
            for client in state.clients.values() {
                client.hear(&event, reach);
            }
        }));
        node
    }
}

/// A client, with what it heard of its streams.
struct Client {
    streams: BTreeSet<Stream>,
    fault: Fault,
    state: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// The last number of each stream.
    last: BTreeMap<Stream, i64>,
    positions: BTreeSet<i64>,
    offset: Option<Reach>,
    held: Option<Vec<(CommittedEvent, Reach)>>,
    twice: usize,
    gaps: usize,
}

impl Client {
    fn hear(&self, event: &CommittedEvent, reach: &Reach) {
        if !event.numbers.iter().any(|(stream, _)| self.streams.contains(stream)) {
            return;
        }
        let mut state = self.state.lock();
        match &mut state.held {
            Some(held) => held.push((event.clone(), reach.clone())),
            None => state.take(&self.streams, event.position, &event.numbers, reach),
        }
    }
}

impl Heard {
    fn take(
        &mut self,
        streams: &BTreeSet<Stream>,
        position: i64,
        numbers: &[(Stream, i64)],
        offset: &Reach,
    ) {
        self.twice += usize::from(!self.positions.insert(position));
        for (stream, seq) in numbers.iter().filter(|(stream, _)| streams.contains(stream)) {
            let last = self.last.entry(stream.clone()).or_default();
            self.gaps += usize::from(*seq > *last + 1);
            *last = (*last).max(*seq);
        }
        self.offset = Some(offset.clone());
    }
}

/// The events of these streams that were missed, by position, with their numbers.
async fn missed(
    db: &Db,
    streams: &BTreeSet<Stream>,
    after: i64,
) -> BTreeMap<i64, Vec<(Stream, i64)>> {
    let streams = streams.iter().map(|stream| (stream.clone(), after)).collect();
    let absence = Absence { streams, most: Portion { events: 100_000, bytes: usize::MAX } };
    let read = async move |tx: &mut Tx<'_>| {
        let mut all = BTreeMap::<i64, Vec<_>>::new();
        let missed =
            db::missed_by(tx, &[absence], i64::MAX).await?.remove(0).expect("not too much");
        for (stream, missed) in missed {
            for event in &missed.events {
                all.entry(event.position).or_default().push((stream.clone(), event.seq));
            }
        }
        Ok(all)
    };
    db.read(read).await.expect("what was missed")
}

async fn come_and_go(
    client: Arc<Client>,
    number: usize,
    nodes: [Arc<Node>; 2],
    end: Instant,
    mut random: StdRng,
) {
    loop {
        let node = &nodes[random.random_range(0..2)];
        let offset = client.state.lock().offset.clone();
        if let Some(offset) = offset.as_ref().filter(|_| client.fault == Fault::None) {
            let mut reached = node.db.reached();
            reached.wait_for(|reach| reach.covers(offset)).await.expect("a store");
        }
        let until = {
            let mut state = node.state.lock();
            if client.fault != Fault::NothingHeld {
                client.state.lock().held = Some(Vec::new());
                state.clients.insert(number, client.clone());
            }
            state.sent.clone()
        };
        let until = until.unwrap_or_else(|| node.db.reach());
        let at = match (&offset, client.fault) {
            (Some(offset), Fault::OnePosition) => Some(Reach::upto(offset.top())),
            (offset, _) => offset.clone(),
        };
        let after = at.as_ref().map_or(0, Reach::settled);
        let mut events = missed(&node.db, &client.streams, after).await;
        events.retain(|position, _| {
            !at.as_ref().is_some_and(|at| at.has(*position)) && until.has(*position)
        });
        let positions: Vec<_> = events.keys().copied().collect();
        let is_last = Instant::now() >= end;
        let cut = if !is_last && random.random_range(0..4) == 0 {
            random.random_range(0..=positions.len())
        } else {
            usize::MAX
        };
        for (index, (position, numbers)) in events.iter().enumerate().take(cut) {
            let offset = Reach::replayed(&positions, index, at.as_ref(), &until);
            client.state.lock().take(&client.streams, *position, numbers, &offset);
        }
        {
            let mut state = node.state.lock();
            let held = client.state.lock().held.take();
            if cut == usize::MAX {
                if client.fault == Fault::NothingHeld {
                    state.clients.insert(number, client.clone());
                }
                for (event, reach) in held.into_iter().flatten() {
                    if !until.has(event.position) {
                        let mut heard = client.state.lock();
                        heard.take(&client.streams, event.position, &event.numbers, &reach);
                    }
                }
            } else {
                state.clients.remove(&number);
            }
        }
        if cut != usize::MAX {
            continue;
        }
        if is_last {
            return;
        }
        sleep(Duration::from_millis(random.random_range(0..60))).await;
        node.state.lock().clients.remove(&number);
        sleep(Duration::from_millis(random.random_range(0..40))).await;
    }
}

async fn write(db: Db, end: Instant, mut random: StdRng) {
    while Instant::now() < end {
        let events: Vec<_> = (0..random.random_range(1..3))
            .map(|_| {
                let many = if random.random_range(0..3) == 0 { 2 } else { 1 };
                let streams: BTreeSet<_> =
                    (0..many).map(|_| stream(random.random_range(0..STREAMS))).collect();
                Both(streams.into_iter().collect())
            })
            .collect();
        let is_rolled_back = random.random_range(0..10) == 0;
        let unit = async move |tx: &mut Tx<'_>| -> Result<()> {
            if is_rolled_back {
                // As if an event's position was taken: there is a gap for ever.
                tx.all("SELECT nextval('positions_last_seq') AS position", &[]).await?;
                return Err(Error::new(Code::Conflict, "Not now."));
            }
            for event in events {
                tx.announce(event);
            }
            Ok(())
        };
        let _ = db.write(unit).await;
        sleep(Duration::from_millis(random.random_range(0..3))).await;
    }
}

/// How many events were heard twice, how many gaps there were, and how many streams are not at their end.
async fn run(fault: Fault, seed: u64, time: Duration) -> Ended {
    let store = Store::open(Some(Postgres::shared().database().await), Clock::system()).await;
    let nodes = [Node::open(&store).await, Node::open(&store).await];
    let mut random = StdRng::seed_from_u64(seed);
    let end = Instant::now() + time;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let streams = (0..3).map(|_| stream(random.random_range(0..STREAMS))).collect();
            Arc::new(Client { streams, fault, state: Mutex::default() })
        })
        .collect();
    let writing = (0..WRITERS).map(|at| {
        tokio::spawn(write(nodes[at % 2].db.clone(), end, StdRng::seed_from_u64(seed + at as u64)))
    });
    let writing: Vec<_> = writing.collect();
    let coming: Vec<_> = clients
        .iter()
        .enumerate()
        .map(|(at, client)| {
            let random = StdRng::seed_from_u64(seed + 1000 + at as u64);
            tokio::spawn(come_and_go(
                client.clone(),
                at,
                nodes.clone(),
                end + Duration::from_millis(300),
                random,
            ))
        })
        .collect();
    for task in writing.into_iter().chain(coming) {
        task.await.expect("an end");
    }
    sleep(Duration::from_millis(300)).await;
    let (mut twice, mut gaps, mut behind) = (0, 0, 0);
    for client in &clients {
        let last = {
            let heard = client.state.lock();
            (twice, gaps) = (twice + heard.twice, gaps + heard.gaps);
            heard.last.clone()
        };
        for stream in &client.streams {
            let of = stream.clone();
            let read = async move |tx: &mut Tx<'_>| Ok(db::last_seq(tx, &of).await?);
            let end = store.db.read(read).await.expect("its end");
            behind += usize::from(last.get(stream).copied().unwrap_or(0) != end);
        }
    }
    Ended { twice, gaps, behind }
}

/// Events that were heard twice, gaps in what was heard, streams that were not heard to their end.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    twice: usize,
    gaps: usize,
    behind: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_to_either_node_hears_everything_once() {
    let seed = rand::random();
    let ended = run(Fault::None, seed, Duration::from_secs(4)).await;
    assert_eq!(ended, Ended { twice: 0, gaps: 0, behind: 0 }, "seed {seed}");
}

/// What is found when it is made simpler: else the test above would show nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simpler_offset_and_a_replay_without_holding_are_found_out() {
    for fault in [Fault::OnePosition, Fault::NothingHeld] {
        let found = async || {
            let ended = run(fault, rand::random(), Duration::from_secs(4)).await;
            (ended.twice + ended.gaps + ended.behind > 0).then_some(())
        };
        in_time(eventually(found)).await;
    }
}
