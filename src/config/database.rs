//! `[database]`: the store.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use std::time::Duration;

use garde::Validate;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    notation,
    rules::{UNCERTAIN, at_least_a_day, has_certain_parts, positive, require},
};

/// `[database]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct DatabaseConfig {
    /// `DATABASE_URL`: `sqlite://<path>` or `postgres://…`; unset takes `stoa.db` in the data folder.
    #[serde(serialize_with = "notation::hidden")]
    #[garde(inner(custom(database_url)))]
    pub url: Option<SecretString>,
    /// Connections to Postgres that write, and as many that read; threads that read SQLite.
    #[garde(range(min = 1, max = 100))]
    pub pool_size: u32,
    /// Units that may wait, of those that write and of those that read each.
    #[garde(range(min = 16, max = 1_000_000))]
    pub queue_length: u32,
    /// Bytes of what waits to be written.
    #[serde(deserialize_with = "notation::size")]
    #[garde(range(min = 1_000_000))]
    pub queue_bytes: usize,
    /// How long a read may take.
    #[serde(with = "humantime_serde")]
    #[garde(custom(unit_time))]
    pub read_timeout: Duration,
    /// How long a write may take, without its commit; on Postgres, each of its statements.
    #[serde(with = "humantime_serde")]
    #[garde(custom(unit_time))]
    pub write_timeout: Duration,
    /// How long a write waits on Postgres for a row that another holds.
    #[serde(with = "humantime_serde")]
    #[garde(custom(unit_time))]
    pub lock_timeout: Duration,
    /// How long events are kept for those who missed them.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub event_retention: Duration,
    /// Events that each stream keeps, at most.
    #[garde(range(min = 1))]
    pub event_count: u32,
    /// How long messages are kept; unset keeps them.
    #[serde(default, with = "humantime_serde")]
    #[garde(inner(custom(at_least_a_day)))]
    pub message_retention: Option<Duration>,
    /// Bytes of the events that one unit of work may keep. What is written at once and is no more
    /// than a request may be is far below it.
    #[serde(deserialize_with = "notation::size")]
    #[garde(range(min = 4_000_000))]
    pub max_unit_event_bytes: usize,
}

impl DatabaseConfig {
    /// Whether several nodes can share it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.url.as_ref().is_some_and(|url| !url.expose_secret().starts_with("sqlite://"))
    }
}

/// Who asked waits ten seconds for a unit of work, so all that it may take has to fit in there.
fn unit_time(duration: &Duration, (): &()) -> garde::Result {
    let fits = (Duration::from_millis(100)..=Duration::from_secs(8)).contains(duration);
    require(fits, "has to be 100ms to 8s")
}

/// `sqlite://` with a path, or `postgres://`; the URL itself is never shown.
fn database_url(url: &SecretString, (): &()) -> garde::Result {
    let url = url.expose_secret();
    let file = url
        .strip_prefix("sqlite://")
        .is_some_and(|path| !path.is_empty() && path != ":memory:" && !path.contains(['?', '#']));
    let server = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    require(file || server, "is neither sqlite://<path of a file> nor postgres://…")?;
    require(file || has_certain_parts(url), UNCERTAIN)
}
