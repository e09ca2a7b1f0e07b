//! Who waits for what others have locked. A unit that waits for a row keeps a connection, so few
//! may wait for long: were it otherwise, one locked row would block every writer.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher, Hash, RandomState},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync, time::timeout};

use crate::{
    db::{Error, Kind, Result, Value},
    stream::Stream,
};

/// How many may wait for what nobody has got for a while.
const WAITERS: usize = 2;

/// How long it takes until what nobody gets is taken for stuck.
const STUCK: Duration = Duration::from_millis(500);

/// How long units wait after one of them has waited so long in vain.
const WARNED: Duration = Duration::from_millis(200);

/// For how long that counts.
const REMEMBERED: Duration = Duration::from_secs(2);

/// What units wait for, and who is next in a stream.
#[derive(Default)]
pub(super) struct Locks {
    hasher: RandomState,
    wanted: Mutex<HashMap<u64, Wanted>>,
    in_vain: Mutex<Option<Instant>>,
}

/// Something that units wait for now.
struct Wanted {
    waiting: usize,
    /// When one of them got it last, or the first came.
    since: Instant,
    mutex: Arc<sync::Mutex<()>>,
}

/// A unit's wait, until it is dropped.
struct Wait {
    locks: Arc<Locks>,
    key: u64,
}

/// Keeps the order until it is dropped: of this node's units it alone waits at the server, or has
/// the stream.
pub(in crate::db) struct OrderGuard {
    _guard: sync::OwnedMutexGuard<()>,
    wait: Wait,
}

/// How a transaction begins, and how long it waits for a row.
pub(super) struct Patience {
    pub(super) begin: &'static str,
    pub(super) limit: Duration,
}

impl Locks {
    /// How long a unit may wait for a row: as long as is configured, where it is one of the few who
    /// may; else not long, and less where units wait in vain.
    pub(super) fn patience(&self, is_patient: bool, configured: Duration) -> Patience {
        let in_vain = *self.in_vain.lock();
        let warned = in_vain.is_some_and(|at| at.elapsed() < REMEMBERED);
        let (begin, limit) = if is_patient || configured <= STUCK {
            ("BEGIN", configured)
        } else if warned {
            ("BEGIN; SET LOCAL lock_timeout = '200ms'", WARNED)
        } else {
            ("BEGIN; SET LOCAL lock_timeout = '500ms'", STUCK)
        };
        Patience { begin, limit }
    }

    /// Notes that a unit has waited in vain; one that was warned itself says nothing about others.
    pub(super) fn warn(&self, patience: &Patience) {
        if patience.limit > WARNED {
            *self.in_vain.lock() = Some(Instant::now());
        }
    }

    /// Waits until a unit may take the row of a statement with these parameters.
    ///
    /// # Errors
    /// [`Kind::Busy`]
    pub(in crate::db) async fn row(
        self: &Arc<Self>,
        sql: &str,
        params: &[Value],
        patience: &Patience,
    ) -> Result<OrderGuard> {
        self.take(self.key(&(sql, params)), patience).await
    }

    /// Waits for a unit's streams. They are taken in one order everywhere, right before they are
    /// numbered, and held until the commit.
    ///
    /// # Errors
    /// [`Kind::Busy`]
    pub(super) async fn streams(
        self: &Arc<Self>,
        streams: impl Iterator<Item = Stream>,
        patience: &Patience,
    ) -> Result<Vec<OrderGuard>> {
        let keys: BTreeSet<u64> = streams.map(|stream| self.key(&stream)).collect();
        let mut guards = Vec::with_capacity(keys.len());
        for key in keys {
            guards.push(self.take(key, patience).await?);
        }
        Ok(guards)
    }

    fn key(&self, what: &impl Hash) -> u64 {
        self.hasher.hash_one(what)
    }

    /// Lets a unit wait, unless several wait already and none of them gets it.
    fn want(self: &Arc<Self>, key: u64) -> Result<(Wait, Arc<sync::Mutex<()>>)> {
        let mut all = self.all();
        let wanted = all.entry(key).or_insert_with(|| Wanted {
            waiting: 0,
            since: Instant::now(),
            mutex: Arc::default(),
        });
        if wanted.waiting >= WAITERS && wanted.since.elapsed() > STUCK {
            return Err(Error::new(Kind::Busy, "others wait for it, and get nothing"));
        }
        wanted.waiting += 1;
        Ok((Wait { locks: self.clone(), key }, wanted.mutex.clone()))
    }

    /// Waits until it is next, as long as somebody else is now and then.
    async fn take(self: &Arc<Self>, key: u64, patience: &Patience) -> Result<OrderGuard> {
        let (wait, mutex) = self.want(key)?;
        let limit = patience.limit.max(STUCK);
        let mut mutex = pin!(mutex.lock_owned());
        loop {
            match timeout(limit, &mut mutex).await {
                Ok(guard) => return Ok(OrderGuard { _guard: guard, wait }),
                Err(_) if wait.moves_within(limit) => {}
                Err(_) => {
                    return Err(Error::new(Kind::Busy, "another does not get on with it"));
                }
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u64, Wanted>> {
        self.wanted.lock()
    }
}

impl OrderGuard {
    /// Notes that what was waited for was got.
    pub(in crate::db) fn got(&self) {
        if let Some(wanted) = self.wait.locks.all().get_mut(&self.wait.key) {
            wanted.since = Instant::now();
        }
    }
}

impl Wait {
    fn moves_within(&self, time: Duration) -> bool {
        self.locks.all().get(&self.key).is_some_and(|wanted| wanted.since.elapsed() < time)
    }
}

impl Drop for Wait {
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
