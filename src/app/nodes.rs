//! The other nodes: what they are told of here, and who hears what they say.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::{ground::Ground, rooms::Rooms};
use crate::{
    admin::{Admin, Instrument},
    bridge::{Bridge, SocketCommands},
    cluster::{Change, Hearer, State},
    db::Db,
    presence::Presence,
    realtime::{EmitService, Realtime},
    rest::health::Readiness,
};

/// Who hears other nodes.
struct Ears {
    db: Db,
    realtime: Realtime,
    presence: Presence,
    instrument: Option<Instrument>,
    admin: Admin,
}

impl Hearer for Ears {
    fn woken(&self) {
        self.db.wake();
    }

    fn changed(&self, changes: Vec<Change>) {
        self.presence.changed(changes);
    }

    fn asked<'a>(&'a self, question: &'a RawValue) -> BoxFuture<'a, Option<Box<RawValue>>> {
        Box::pin(async move {
            if let Some(answer) = self.admin.answer(question) {
                return Some(answer);
            }
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
///
/// # Errors
/// When the bridge can't do what is configured.
pub(super) fn join(
    ground: &Ground,
    db: &Db,
    realtime: &Realtime,
    rooms: &Rooms,
) -> anyhow::Result<()> {
    let Ground { config, tasks, .. } = ground;
    let is_shared = config.database.is_shared();
    let Some(cluster) = ground.cluster.clone() else {
        if is_shared {
            tracing::info!(
                "other nodes on this database hear what is kept; typing, presence and volatile events stay on \
                 their node (REDIS_URL)"
            );
        }
        return Ok(());
    };
    // Emitters are heard by one alone, too.
    if !is_shared && !config.bridge.enabled {
        tracing::warn!(
            "REDIS_URL joins nodes on one Postgres; what is kept in SQLite (DATABASE_URL) stays on this node"
        );
    }
    if config.bridge.enabled {
        let emits = EmitService::new(db.clone(), realtime.emitter().clone());
        let commands = SocketCommands::new(rooms.access.clone(), realtime.clone());
        let bridge = Bridge::new(config, db.clone(), emits, commands, tasks.clone())?;
        tasks.spawn("bridge", bridge.carry_out(cluster.hear_emitters(&config.bridge)));
    }
    let (presence, instrument) = (rooms.presence.clone(), rooms.instrument.clone());
    let tell = tell(cluster.state(), ground.readiness.clone());
    tasks.spawn_until_stopped("readiness of Redis", tell);
    let admin = rooms.admin.clone();
    let ears = Ears { db: db.clone(), realtime: realtime.clone(), presence, instrument, admin };
    cluster.begin(Arc::new(ears), tasks);
    db.set_herald(Arc::new(move || cluster.wake_others()));
    Ok(())
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
