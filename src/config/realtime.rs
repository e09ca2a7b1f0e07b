//! `[realtime]`: the Socket.IO side.

use std::{path::PathBuf, time::Duration};

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::{notation, rules::positive};

/// `[realtime]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct RealtimeConfig {
    /// `PING_INTERVAL`
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub ping_interval: Duration,
    /// `PING_TIMEOUT`
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub ping_timeout: Duration,
    /// From transport to CONNECT.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub connect_timeout: Duration,
    /// From the probe to the end of a change of transport.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub upgrade_timeout: Duration,
    /// How long a peer may take nothing while bytes wait for it.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub stall_timeout: Duration,
    /// Bytes that may wait for one peer.
    #[serde(deserialize_with = "notation::size")]
    #[garde(range(min = 1024))]
    pub max_pending_bytes: usize,
    /// Events that may wait for one connection's worker.
    #[garde(range(min = 1))]
    pub queue_length: usize,
    /// Rooms one connection may be in.
    #[garde(range(min = 1))]
    pub max_rooms_per_connection: usize,
    /// Shards of the hub; 0 takes as many as there are workers.
    pub shards: usize,
    /// After how long a typing indicator ends by itself.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub typing_timeout: Duration,
    /// How long before a token's end `auth:expiring` is sent.
    #[serde(with = "humantime_serde")]
    pub expiring_notice: Duration,
    /// `RECOVERY`: whether clients find their sessions again.
    pub recovery: bool,
    /// `EVENT_AUDIENCE`
    pub event_audience: EventAudience,
    /// The folder that has the client for browsers.
    pub client_dir: Option<PathBuf>,
    /// The client's version where there is no such folder.
    #[garde(custom(version))]
    pub client_version: String,
}

/// What is a version in the address of a file.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives references")]
fn version(version: &str, (): &()) -> garde::Result {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    if version.starts_with(|c: char| c.is_ascii_digit()) && version.chars().all(plain) {
        return Ok(());
    }
    Err(garde::Error::new("is a version of socket.io-client, such as 4.8.3"))
}

/// `EVENT_AUDIENCE`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventAudience {
    /// What the documents call global goes to every authenticated socket.
    Documented,
    /// It goes to those whom it is about, and to admins.
    Participants,
}
