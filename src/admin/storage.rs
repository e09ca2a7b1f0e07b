//! The store by table, and for how long it keeps what it does not keep for ever.

use std::time::Duration;

use super::documents::{KeptFor, StoreTable, StoreTables};
use crate::{
    config::Config,
    db::{Db, Table},
    error::Result,
    idempotency,
};

/// The store, as operators look at it. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    db: Db,
    engine: &'static str,
    events: Duration,
    messages: Option<Duration>,
    notifications: Duration,
}

impl Storage {
    /// This store, as it is configured.
    #[must_use]
    pub fn new(db: Db, config: &Config) -> Self {
        Self {
            db,
            engine: if config.database.is_shared() { "postgres" } else { "sqlite" },
            events: config.database.event_retention,
            messages: config.database.message_retention,
            notifications: config.notifications.retention,
        }
    }

    /// What it has.
    pub(super) async fn tables(&self) -> Result<StoreTables> {
        let tables = self.db.tables().await?;
        let shown = |Table { name, rows, bytes }| StoreTable { name, rows, bytes };
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let kept = |what, tables: &[&'static str], time: Option<Duration>| KeptFor {
            what,
            tables: tables.to_vec(),
            keep_ms: time.map(ms),
        };
        Ok(StoreTables {
            engine: self.engine,
            tables: tables.map(|tables| tables.into_iter().map(shown).collect()),
            kept: vec![
                kept("events", &["events", "shared_events"], Some(self.events)),
                kept("messages", &["messages", "reactions"], self.messages),
                kept(
                    "notifications",
                    &["notifications", "notification_contents"],
                    Some(self.notifications),
                ),
                kept("answers", &["idempotency_keys"], Some(idempotency::KEPT_FOR)),
            ],
        })
    }
}
