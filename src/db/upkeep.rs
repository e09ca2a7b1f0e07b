//! Looks after a store as long as someone has it open: whether it is there, and how large it is.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{Engine, Inner, sqlite::GONE};
use crate::metrics;

/// How often a store that is away, or whose server may have gone, is asked whether it is there.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// How often it is looked whether a database's files are there.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How often it is looked how large it is: a server looks at each of its files for that.
const MEASURE_INTERVAL: Duration = Duration::from_mins(1);

/// How long a server is waited for, to say so.
const MEASURE_PATIENCE: Duration = Duration::from_secs(2);

/// Asks the store now and then, as long as someone has it open. A file that is there and takes writes
/// needs no asking; a server may be gone while nobody writes.
pub(super) async fn watch_over(store: Weak<Inner>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut measured: Option<Instant> = None;
    loop {
        {
            let Some(store) = open(&store) else { return };
            store.tell_reach();
            if measured.is_none_or(|at| at.elapsed() >= MEASURE_INTERVAL) {
                store.engine.tell_size().await;
                measured = Some(Instant::now());
            }
        }
        ticks.tick().await;
        let Some(store) = open(&store) else { return };
        if let Engine::Sqlite(sqlite) = &store.engine {
            sqlite.rest();
        }
        let needs_asking = match &store.engine {
            Engine::Sqlite(sqlite) if !sqlite.is_there() => {
                store.shared.lose(GONE);
                continue;
            }
            Engine::Sqlite(_) => !*store.shared.available.borrow(),
            Engine::Postgres(_) => true,
        };
        if needs_asking {
            let available = store.probe().await;
            store.shared.report(available);
        }
    }
}

/// The store, if somebody still has it open.
fn open(store: &Weak<Inner>) -> Option<Arc<Inner>> {
    store.upgrade().filter(|store| !store.is_closed())
}

impl Inner {
    fn tell_reach(&self) {
        let missing = self.shared.reach.borrow().missing().count();
        metrics::tail_missing().set(f64::from(u32::try_from(missing).unwrap_or(u32::MAX)));
    }
}

impl Engine {
    async fn tell_size(&self) {
        match self {
            Self::Sqlite(sqlite) => {
                let (database, log) = sqlite.bytes();
                tell_bytes("database", database);
                tell_bytes("log", log);
            }
            Self::Postgres(postgres) => match timeout(MEASURE_PATIENCE, postgres.bytes()).await {
                Ok(Ok(database)) => tell_bytes("database", database),
                Ok(Err(error)) => tracing::debug!(%error, "the size of the store is not known"),
                Err(_) => tracing::debug!("the size of the store is not known in time"),
            },
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn tell_bytes(part: &'static str, bytes: u64) {
    metrics::store_bytes(part).set(bytes as f64);
}
