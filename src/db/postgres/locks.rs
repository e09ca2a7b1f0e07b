//! Who waits for what others hold. A unit that waits for a row keeps a connection, so few may wait
//! for long: were it otherwise, one row that is held would hold every writer.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync, time::timeout};

use crate::{
    db::{Error, Kind, Result, Value},
    stream::Stream,
};

/// Locks that give the units of a stream one order from numbering until they are sent.
const STRIPES: u64 = 256;

/// How many may wait for what nobody has got for a while.
const WAITERS: usize = 2;

/// How long it takes until what nobody gets is taken for stuck.
pub(super) const STUCK: Duration = Duration::from_millis(500);

/// What units wait for, and whose turn it is in a stream.
pub(super) struct Locks {
    stripes: Box<[sync::Mutex<()>]>,
    hasher: RandomState,
    wanted: Mutex<HashMap<u64, Wanted>>,
}

/// Something that units wait for now.
struct Wanted {
    waiting: usize,
    /// When one of them got it last, or the first came.
    since: Instant,
}

/// A unit's wait, until it is dropped.
pub(in crate::db) struct Wait<'a> {
    locks: &'a Locks,
    key: u64,
}

/// Units take their streams in one order, right before they are numbered, and hold them until they
/// are sent, so what is sent has the order of the numbers.
pub(super) struct Turn<'a> {
    stripes: Vec<sync::MutexGuard<'a, ()>>,
    waits: Vec<Wait<'a>>,
}

impl Default for Locks {
    fn default() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| sync::Mutex::default()).collect(),
            hasher: RandomState::new(),
            wanted: Mutex::default(),
        }
    }
}

impl Locks {
    /// Lets a unit wait for the row that a statement with these parameters takes, unless several
    /// wait already and none of them gets it.
    ///
    /// # Errors
    /// [`Kind::Busy`]
    pub(in crate::db) fn want_row(&self, sql: &str, params: &[Value]) -> Result<Wait<'_>> {
        self.want(&(sql, params))
    }

    fn want(&self, what: &impl Hash) -> Result<Wait<'_>> {
        let key = self.hasher.hash_one(what);
        let mut all = self.all();
        let wanted = all.entry(key).or_insert_with(|| Wanted { waiting: 0, since: Instant::now() });
        if wanted.waiting >= WAITERS && wanted.since.elapsed() > STUCK {
            return Err(Error::new(Kind::Busy, "others wait for it, and get nothing"));
        }
        wanted.waiting += 1;
        drop(all);
        Ok(Wait { locks: self, key })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u64, Wanted>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a unit's streams, each for so long.
    ///
    /// # Errors
    /// [`Kind::Busy`]
    pub(super) async fn turn(
        &self,
        streams: impl Iterator<Item = Stream>,
        patience: Duration,
    ) -> Result<Turn<'_>> {
        let stripe = |stream| self.hasher.hash_one(stream) % STRIPES;
        let taken: BTreeSet<u64> = streams.map(stripe).collect();
        let mut turn = Turn {
            stripes: Vec::with_capacity(taken.len()),
            waits: Vec::with_capacity(taken.len()),
        };
        for (stripe, place) in self.stripes.iter().zip(0..) {
            if taken.contains(&place) {
                turn.waits.push(self.want(&place)?);
                let lock = timeout(patience, stripe.lock()).await;
                turn.stripes.push(lock.map_err(|_| {
                    Error::new(Kind::Busy, "another unit has not done with its stream")
                })?);
            }
        }
        Ok(turn)
    }
}

impl Wait<'_> {
    /// Notes that it was got: whoever waits behind may do so from now on.
    pub(in crate::db) fn got(&self) {
        if let Some(wanted) = self.locks.all().get_mut(&self.key) {
            wanted.since = Instant::now();
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut all = self.locks.all();
        if let Some(wanted) = all.get_mut(&self.key) {
            wanted.waiting -= 1;
            if wanted.waiting == 0 {
                all.remove(&self.key);
            }
        }
    }
}

impl Turn<'_> {
    /// Notes that the streams were numbered, which takes their rows.
    pub(super) fn got(&self) {
        self.waits.iter().for_each(Wait::got);
    }
}
