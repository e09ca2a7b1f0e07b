//! The other nodes: what they are told of here, and who hears what they say.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::{ground::Ground, rooms::Rooms};
use crate::{
    admin::Instrument,
    cluster::{Change, Hearer, State},
    db::Db,
    presence::Presence,
    realtime::Realtime,
    rest::health::Readiness,
};

/// Who hears other nodes.
struct Others {
    db: Db,
    realtime: Realtime,
    presence: Presence,
    instrument: Option<Instrument>,
}

impl Hearer for Others {
    fn woken(&self) {
        self.db.wake();
    }

    fn changed(&self, changes: Vec<Change>) {
        self.presence.changed(changes);
    }

    fn asked<'a>(&'a self, question: &'a RawValue) -> BoxFuture<'a, Option<Box<RawValue>>> {
        Box::pin(async move {
            match (self.realtime.answer(question).await, &self.instrument) {
                (None, Some(instrument)) => instrument.answer(question).await,
                (answer, _) => answer,
            }
        })
    }

    fn heard(&self, item: &RawValue) -> bool {
        self.realtime.emitter().hear(item) || self.presence.hear(item)
    }
}

/// Joins them, where there are some.
pub(super) fn join(ground: &Ground, db: &Db, realtime: &Realtime, rooms: &Rooms) {
    let is_shared = ground.config.database.is_shared();
    let Some(cluster) = ground.cluster.clone() else {
        if is_shared {
            tracing::info!(
                "other nodes on this database hear what is kept; typing, presence and volatile events stay on \
                 their node (REDIS_URL)"
            );
        }
        return;
    };
    if !is_shared {
        tracing::warn!(
            "REDIS_URL joins nodes on one Postgres; what is kept in SQLite (DATABASE_URL) stays on this node"
        );
    }
    let (presence, instrument) = (rooms.presence.clone(), rooms.instrument.clone());
    let tell = tell(cluster.state(), ground.readiness.clone());
    ground.tasks.spawn_until_stopped("readiness of Redis", tell);
    let hearer = Others { db: db.clone(), realtime: realtime.clone(), presence, instrument };
    cluster.begin(Arc::new(hearer), &ground.tasks);
    db.set_herald(Arc::new(move || cluster.wake_others()));
}

/// Tells `/readyz` of Redis, until the cluster is gone.
async fn tell(mut state: watch::Receiver<State>, readiness: Readiness) {
    loop {
        let is_connected = *state.borrow_and_update() == State::Connected;
        readiness.impair("redis", is_connected);
        if state.changed().await.is_err() {
            return;
        }
    }
}
