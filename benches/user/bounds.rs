//! The limits of one user as `config/default.toml` has them, and the budget that they come to.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use bytesize::ByteSize;
use toml::Value;

/// The defaults, as they are built into the binary.
const DEFAULTS: &str = include_str!("../../config/default.toml");

/// An idle connection, in bytes.
const IDLE: f64 = 16_384.0;

/// Events of a connection that wait when its socket is not read any more; a body of polling has at
/// most its own size of them.
const QUEUED: f64 = 16.0;

/// What a message carries at most: 8,000 characters of four bytes; ten files, each with a URL of 2,048
/// of them and a name and a type of 255; 16 KiB of what else is said of these; metadata.
const CARRIED: f64 = (8_000.0 + 10.0 * (2_048.0 + 2.0 * 255.0)) * 4.0 + 16_384.0 + METADATA;

/// Its metadata.
const METADATA: f64 = 16_384.0;

/// A message as large as it may be: kept once as a row, twice in its event (each dialect, one of which
/// spreads its metadata), and once in the answer that goes with an `Idempotency-Key`.
const MESSAGE: f64 = CARRIED * 4.0 + METADATA + 4_096.0;

/// The largest thing that one write makes: a conversation of 1,000 people.
const WRITE: f64 = 1e6;

/// What limits one user, by key; none for a key that there is not.
pub struct Bounds(Vec<(&'static str, Option<f64>)>);

const KEYS: [&str; 12] = [
    "server.max_payload_bytes",
    "server.body_timeout",
    "realtime.max_pending_bytes",
    "limits.connections_per_user",
    "limits.http_connections_per_address",
    "limits.messages.per_second",
    "limits.messages.burst",
    "limits.rest_writes.per_second",
    "limits.rest_writes.burst",
    "limits.invoices.per_minute",
    "limits.invoices.burst",
    "shkeeper.coin_changes",
];

impl Bounds {
    /// Reads the defaults.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn read() -> Result<Self> {
        let all: Value = toml::from_str(DEFAULTS).context("config/default.toml")?;
        let number = |key: &str| {
            let found = key.split('.').try_fold(&all, |value, name| value.get(name))?;
            match found {
                Value::Integer(number) => Some(*number as f64),
                Value::String(text) => {
                    let bytes = || text.parse::<ByteSize>().ok().map(|size| size.as_u64() as f64);
                    let seconds = text.strip_suffix('s').and_then(|text| text.parse::<f64>().ok());
                    seconds.or_else(bytes)
                }
                _ => None,
            }
        };
        Ok(Self(KEYS.into_iter().map(|key| (key, number(key))).collect()))
    }

    fn get(&self, key: &str) -> Option<f64> {
        self.0.iter().find(|(name, _)| *name == key).and_then(|(_, value)| *value)
    }

    /// The limits, a line each.
    pub fn table(&self) -> String {
        let mut table = String::from("what limits one user (config/default.toml):\n");
        for (key, value) in &self.0 {
            let value = value.map_or_else(|| "no bound".to_owned(), |value| value.to_string());
            let _ = writeln!(table, "  {key:<38} {value}");
        }
        table
    }

    /// Bodies that may be on their way at once: one for each connection, and no more than are
    /// begun while one may take.
    fn uploads(&self) -> Option<f64> {
        let connections = self.get("limits.http_connections_per_address")?;
        let begun = self.get("limits.rest_writes.burst")?
            + self.get("limits.rest_writes.per_second")? * self.get("server.body_timeout")?;
        Some(connections.min(begun))
    }

    /// Memory: every connection idle, with all that may wait for it and of it, and every body on its
    /// way. None where something has no bound.
    pub fn memory_bytes(&self) -> Option<f64> {
        let body = self.get("server.max_payload_bytes")?;
        let waiting = self.get("realtime.max_pending_bytes")?;
        let queued = QUEUED * body;
        let connections = self.get("limits.connections_per_user")?;
        Some(connections * (IDLE + waiting + queued) + self.uploads()? * body)
    }

    /// Disk: the largest writes by REST, and the largest messages over all of their sockets.
    pub fn disk_bytes_per_minute(&self) -> Option<f64> {
        let minute = |rate: &str| {
            let per_second = self.get(&format!("limits.{rate}.per_second"))?;
            Some(per_second * 60.0 + self.get(&format!("limits.{rate}.burst"))?)
        };
        Some(minute("rest_writes")? * WRITE + minute("messages")? * MESSAGE)
    }
}
