//! Heartbeats of websockets: who is pinged when, and who has not answered (Engine.IO protocol v4,
//! "Heartbeat", and v3, where clients ping). No socket has a timer: those of a shard stand in the order
//! in which something is due.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout_at},
};

use super::lane::Lane;
use crate::tasks::Tasks;

/// As many rounds as are made in the shorter of the two times.
const ROUNDS: u32 = 64;

/// The longest time between two rounds.
const LONGEST_ROUND: Duration = Duration::from_millis(250);

/// How often it is looked, in the time that they have, whether clients of version 3 have pinged.
const LOOKS: u32 = 4;

/// The heartbeats of all shards. Cheap to clone.
#[derive(Clone)]
pub(super) struct Heartbeats(Arc<Inner>);

struct Inner {
    shards: Box<[Shard]>,
    start: Instant,
    round: Duration,
    /// From an answer to the next ping.
    interval: Duration,
    /// From a ping to its answer, at most.
    timeout: Duration,
}

#[derive(Default)]
struct Shard {
    due: Mutex<Due>,
    /// Something is due where nothing was.
    filled: Notify,
}

/// What is due, each in its order: the time until then is the same for all of them.
#[derive(Default)]
struct Due {
    pings: VecDeque<Entry>,
    pongs: VecDeque<Entry>,
    /// When it is looked whether a client of version 3 has pinged.
    looks: VecDeque<Entry>,
}

/// What is due for one websocket.
struct Entry {
    /// Milliseconds since the start.
    at: u64,
    lane: Weak<Lane>,
    /// The lane's beat by then; when that has gone on, nothing is due any more.
    beat: u32,
}

impl Heartbeats {
    /// Begins the rounds of so many shards, which end with the tasks.
    pub(super) fn start(
        tasks: &Tasks,
        shards: usize,
        interval: Duration,
        timeout: Duration,
    ) -> Self {
        let shortest = interval.min(timeout).min(LONGEST_ROUND * ROUNDS);
        let inner = Arc::new(Inner {
            shards: (0..shards).map(|_| Shard::default()).collect(),
            start: Instant::now(),
            round: (shortest / ROUNDS).max(Duration::from_millis(1)),
            interval,
            timeout,
        });
        for shard in 0..shards {
            tasks.spawn_until_stopped("heartbeats", rounds(inner.clone(), shard));
        }
        Self(inner)
    }

    /// A session is on a websocket from now on.
    pub(super) fn begin(&self, shard: usize, lane: &Arc<Lane>, v3: bool) {
        if v3 {
            lane.heard(self.0.now());
            self.0.add(shard, |due| &mut due.looks, self.0.look(), lane, 0);
        } else {
            self.0.add(shard, |due| &mut due.pings, self.0.interval, lane, 0);
        }
    }

    /// The client has answered a ping.
    pub(super) fn pong(&self, shard: usize, lane: &Arc<Lane>) {
        // One that nobody asked for says nothing.
        if let Some(beat) = lane.pong() {
            self.0.add(shard, |due| &mut due.pings, self.0.interval, lane, beat);
        }
    }

    /// A client of version 3 has pinged.
    pub(super) fn heard(&self, lane: &Lane) {
        lane.heard(self.0.now());
    }
}

impl Inner {
    fn millis(&self, instant: Instant) -> u64 {
        u64::try_from(instant.duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since the start; they go round after 49 days.
    fn now(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "only differences count")]
        let now = self.millis(Instant::now()) as u32;
        now
    }

    /// How long a client of version 3 may be silent.
    fn silence(&self) -> Duration {
        self.interval + self.timeout
    }

    fn look(&self) -> Duration {
        self.silence() / LOOKS
    }

    fn add(
        &self,
        shard: usize,
        queue: impl FnOnce(&mut Due) -> &mut VecDeque<Entry>,
        after: Duration,
        lane: &Arc<Lane>,
        beat: u32,
    ) {
        let shard = &self.shards[shard];
        let mut due = shard.due.lock();
        let queue = queue(&mut due);
        let was_empty = queue.is_empty();
        let at = self.millis(Instant::now() + after);
        queue.push_back(Entry { at, lane: Arc::downgrade(lane), beat });
        drop(due);
        if was_empty {
            shard.filled.notify_one();
        }
    }

    /// Does what is due by now.
    fn round(&self, shard: usize) {
        let now = self.millis(Instant::now());
        let due = |queue: fn(&mut Due) -> &mut VecDeque<Entry>| {
            let mut all = self.shards[shard].due.lock();
            let queue = queue(&mut all);
            let many = queue.partition_point(|entry| entry.at <= now);
            let due: Vec<_> = queue.drain(..many).collect();
            if queue.is_empty() {
                // As many as there were at once, there may never be again.
                *queue = VecDeque::new();
            }
            due.into_iter().filter_map(|Entry { lane, beat, .. }| Some((lane.upgrade()?, beat)))
        };
        for (lane, beat) in due(|due| &mut due.pings) {
            if let Some(beat) = lane.ping(beat) {
                self.add(shard, |due| &mut due.pongs, self.timeout, &lane, beat);
            }
        }
        for (lane, beat) in due(|due| &mut due.pongs) {
            if lane.is_at(beat) {
                lane.close(None);
            }
        }
        for (lane, _) in due(|due| &mut due.looks) {
            match lane.silent_for(self.now()) {
                Some(silence) if silence >= self.silence() => lane.close(None),
                Some(_) => self.add(shard, |due| &mut due.looks, self.look(), &lane, 0),
                None => {}
            }
        }
    }

    /// When something is due next.
    fn next(&self, shard: usize) -> Option<Instant> {
        let due = self.shards[shard].due.lock();
        let fronts = [due.pings.front(), due.pongs.front(), due.looks.front()];
        let at = fronts.into_iter().flatten().map(|entry| entry.at).min()?;
        Some(self.start + Duration::from_millis(at))
    }
}

async fn rounds(beats: Arc<Inner>, shard: usize) {
    loop {
        beats.round(shard);
        // The next round is not at once: what is due soon is done together.
        sleep(beats.round).await;
        let filled = beats.shards[shard].filled.notified();
        match beats.next(shard) {
            Some(next) => drop(timeout_at(next, filled).await),
            None => filled.await,
        }
    }
}
