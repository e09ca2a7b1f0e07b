//! The other nodes: what they are told of here, and who hears what they say.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::ground::Ground;
use crate::{cluster::Hearer, db::Db, realtime::Emitter};

/// Who hears other nodes.
struct Rooms {
    db: Db,
    emitter: Emitter,
}

impl Hearer for Rooms {
    fn woken(&self) {
        self.db.wake();
    }

    fn heard(&self, item: &RawValue) -> bool {
        self.emitter.hear(item)
    }
}

/// Joins them, where there are some.
pub(super) fn join(ground: &Ground, db: &Db, emitter: &Emitter) {
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
    let rooms = Rooms { db: db.clone(), emitter: emitter.clone() };
    cluster.begin(Arc::new(rooms), &ground.tasks);
    db.set_herald(Arc::new(move || cluster.wake_others()));
}
