//! Configuration: the embedded `config/default.toml`, a file, the environment, flags; then validated.
//! Names and meanings are those of contract/environment.md.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;

/// Everything an operator can set. `config/default.toml` documents each key.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// `development` or `production`.
    pub environment: Environment,
    /// Folder for the database and the development secret.
    pub data: PathBuf,
    /// The listening port and what it takes.
    pub server: ServerConfig,
    /// Tokens, keys and who may connect.
    pub auth: AuthConfig,
    /// The Socket.IO side.
    pub realtime: RealtimeConfig,
    /// Who is here.
    pub presence: PresenceConfig,
    /// Who may enter a room.
    pub rooms: RoomsConfig,
    /// Rates and caps.
    pub limits: LimitsConfig,
    /// Logs.
    pub log: LogConfig,
    /// Metrics.
    pub metrics: MetricsConfig,
}

/// `STOA_ENV`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// A secret is made when there is none.
    Development,
    /// Refuses what only a developer would want.
    Production,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
pub struct ServerConfig {
    /// `HOST`
    pub host: IpAddr,
    /// `PORT`; 0 takes a free one.
    pub port: u16,
    /// `CLIENT_URL`: origins of the chat's web apps.
    pub client_url: Vec<String>,
    /// `FRONTEND_URL`: origins of the marketplace's web apps.
    pub frontend_url: Vec<String>,
    /// `MAX_PAYLOAD`: bytes of one websocket message, polling body or REST body.
    pub max_payload_bytes: usize,
    /// `TRUSTED_PROXIES`: whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// `DRAIN_TIMEOUT`: from SIGTERM to exit.
    pub drain_timeout: Duration,
    /// Until the first byte of a connection.
    pub first_byte_timeout: Duration,
    /// Until a request's headers are complete.
    pub header_timeout: Duration,
    /// Until a request's body is complete.
    pub body_timeout: Duration,
    /// Headers of one request.
    pub max_headers: usize,
    /// Bytes of one request's headers.
    pub max_header_bytes: usize,
}

impl ServerConfig {
    /// The origins that may connect with credentials.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.client_url.iter().chain(&self.frontend_url).map(String::as_str)
    }
}

/// `[auth]`
#[derive(Clone, Debug, Deserialize)]
pub struct AuthConfig {
    /// `JWT_SECRET`: HS256 key, at least 32 bytes.
    pub jwt_secret: Option<SecretString>,
    /// `JWT_PUBLIC_KEY`: a PEM, or the path of one.
    pub jwt_public_key: Option<String>,
    /// `JWT_JWKS`: a file or an https URL.
    pub jwt_jwks: Option<String>,
    /// How often a JWKS URL is asked again.
    pub jwks_refresh: Duration,
    /// `JWT_ISSUER`: required in tokens when set.
    pub jwt_issuer: Option<String>,
    /// `JWT_AUDIENCE`: required in tokens when set.
    pub jwt_audience: Option<String>,
    /// How far a token's times may be off.
    pub leeway: Duration,
    /// `AUTH_COOKIES`: cookies that may carry a token, in order.
    pub cookies: Vec<String>,
    /// `HANDSHAKE`
    pub handshake: Handshake,
    /// `API_KEYS`: `name:sha256hex[:scopes]` entries.
    pub api_keys: Vec<String>,
}

/// `HANDSHAKE`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Handshake {
    /// A socket without a valid token is refused.
    Required,
    /// A socket without a token is believed when it says who it is.
    Trusting,
}

/// `[realtime]`
#[derive(Clone, Debug, Deserialize)]
pub struct RealtimeConfig {
    /// `PING_INTERVAL`
    pub ping_interval: Duration,
    /// `PING_TIMEOUT`
    pub ping_timeout: Duration,
    /// From transport to CONNECT.
    pub connect_timeout: Duration,
    /// From the probe to the end of a change of transport.
    pub upgrade_timeout: Duration,
    /// How long a peer may take nothing while bytes wait for it.
    pub stall_timeout: Duration,
    /// Bytes that may wait for one peer.
    pub max_pending_bytes: usize,
    /// Events that may wait for one connection's worker.
    pub queue_length: usize,
    /// Rooms one connection may be in.
    pub max_rooms_per_connection: usize,
    /// Shards of the hub; 0 takes as many as there are workers.
    pub shards: usize,
    /// After how long a typing indicator ends by itself.
    pub typing_timeout: Duration,
    /// How long before a token's end `auth:expiring` is sent.
    pub expiring_notice: Duration,
}

/// `[presence]`
#[derive(Clone, Debug, Deserialize)]
pub struct PresenceConfig {
    /// `PRESENCE_GRACE`
    pub grace: Duration,
    /// How long changes are gathered before they are announced in one pass.
    pub window: Duration,
}

/// `[rooms]`
#[derive(Clone, Debug, Deserialize)]
pub struct RoomsConfig {
    /// `ROOM_POLICY`
    pub policy: RoomPolicy,
}

/// `ROOM_POLICY`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoomPolicy {
    /// Only who has the right.
    Strict,
    /// Also anyone, where this server has no record of the room's id.
    Open,
}

/// `[limits]`
#[derive(Clone, Debug, Deserialize)]
pub struct LimitsConfig {
    /// `LIMITS`: `off` lifts rates and per-address caps; sizes stay.
    pub enabled: bool,
    /// Sockets of one address that have not shown a valid token yet.
    pub unauthenticated_per_address: usize,
    /// Open connections of one address.
    pub connections_per_address: usize,
    /// Joins and leaves of one connection.
    pub joins: Rate,
    /// Typing events of one connection.
    pub typing: Rate,
    /// Messages of one connection.
    pub messages: Rate,
    /// Everything else of one connection.
    pub other: Rate,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Rate {
    /// Refilled each second.
    pub per_second: u32,
    /// Held at most.
    pub burst: u32,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
pub struct LogConfig {
    /// `LOG_LEVEL`: a tracing filter.
    pub level: String,
    /// `LOG_FORMAT`; unset takes `pretty` on a terminal, else `json`.
    pub format: Option<LogFormat>,
}

/// `LOG_FORMAT`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines, one object a line.
    Json,
}

/// `[metrics]`
#[derive(Clone, Debug, Deserialize)]
pub struct MetricsConfig {
    /// `METRICS_PORT`: serves `/metrics` there instead of on the public port.
    pub port: Option<u16>,
}
