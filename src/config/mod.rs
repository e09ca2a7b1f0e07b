//! Configuration: the embedded `config/default.toml`, a file, the environment, flags; then
//! validated. Names and meanings are those of docs/contract/environment.md.

mod accounts;
mod database;
mod error;
mod limits;
mod load;
mod notation;
mod notifications;
mod payments;
mod points;
mod secret;
mod shkeeper;
mod users;
mod validate;

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use garde::Validate;
use ipnet::IpNet;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use accounts::{AccountsConfig, AccountsMode, Argon2Config};
pub use database::DatabaseConfig;
pub use error::{BadValue, ConfigError};
pub use limits::{LimitsConfig, Rate, RatePerMinute};
pub use load::{Flags, Loaded, PLAIN_NAMES, load, load_here};
pub use notifications::{CauseConfig, CausesConfig, NotificationsConfig};
pub use payments::PaymentsConfig;
pub use points::{Level, PointsConfig};
pub use secret::DevelopmentSecret;
use shkeeper::base_url;
pub use shkeeper::{ShkeeperConfig, WebhookMode};
pub use users::UsersConfig;
pub use validate::MIN_SECRET_BYTES;
use validate::{
    api_key, cookie_name, jwks, log_filter, origin, positive, public_key, query_parameter,
};

use crate::origin::{InvalidOrigin, OriginPolicy};

/// Everything an operator can set. `config/default.toml` documents each key.
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct Config {
    /// `development` or `production`.
    pub environment: Environment,
    /// Folder for the database and the development secret.
    pub data: PathBuf,
    /// The listening port and what it takes.
    #[garde(dive)]
    pub server: ServerConfig,
    /// Tokens, keys and who may connect.
    #[garde(dive)]
    pub auth: AuthConfig,
    /// People who sign up and sign in here.
    #[garde(dive)]
    pub accounts: AccountsConfig,
    /// The Socket.IO side.
    #[garde(dive)]
    pub realtime: RealtimeConfig,
    /// The store.
    #[garde(dive)]
    pub database: DatabaseConfig,
    /// Who is here.
    #[garde(dive)]
    pub presence: PresenceConfig,
    /// Who may enter a room.
    pub rooms: RoomsConfig,
    /// Rates and caps.
    #[garde(dive)]
    pub limits: LimitsConfig,
    /// What users are told.
    #[garde(dive)]
    pub notifications: NotificationsConfig,
    /// Tokens for others, revocations.
    #[garde(dive)]
    pub users: UsersConfig,
    /// Payments and payouts, by whichever provider.
    #[garde(dive)]
    pub payments: PaymentsConfig,
    /// The levels that points reach.
    #[garde(dive)]
    pub points: PointsConfig,
    /// The payment provider.
    #[garde(dive)]
    pub shkeeper: ShkeeperConfig,
    /// Logs.
    #[garde(dive)]
    pub log: LogConfig,
    /// Metrics.
    pub metrics: MetricsConfig,
    /// The secret that this installation made for itself, while it is the one in use.
    #[serde(skip)]
    pub development_secret: Option<DevelopmentSecret>,
}

impl Config {
    /// How long a start waits for the process before it, which may still drain.
    #[must_use]
    pub fn patience(&self) -> Duration {
        const MORE: Duration = Duration::from_secs(10);
        self.server.drain_timeout.saturating_add(MORE)
    }

    /// Which pages may call with credentials: those that are named, and in development every one of
    /// this machine.
    ///
    /// # Errors
    /// [`InvalidOrigin`] when a configured origin is none.
    pub fn origin_policy(&self) -> Result<OriginPolicy, InvalidOrigin> {
        let local_pages = self.environment == Environment::Development;
        OriginPolicy::new(self.server.origins(), local_pages)
    }

    /// A valid configuration for tests: the defaults on a free port of this machine, with a key.
    /// Tests that write set `data` to a folder of their own.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "the defaults are valid, and a test shows it"
    )]
    pub fn for_tests() -> Self {
        let environment = [
            ("HOST", "127.0.0.1"),
            ("PORT", "0"),
            ("JWT_SECRET", "a secret that every test knows, 48 bytes long ..."),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let flags = Flags { data: Some(std::env::temp_dir().join("stoa")), ..Flags::default() };
        load(&flags, environment).expect("valid defaults").config
    }
}

/// `STOA_ENV`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// A secret is made when there is none.
    Development,
    /// Refuses what only a developer would want.
    Production,
}

/// `[server]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct ServerConfig {
    /// `HOST`
    pub host: IpAddr,
    /// `PORT`; 0 takes a free one.
    pub port: u16,
    /// `CLIENT_URL`: origins of the chat's web apps.
    #[garde(inner(custom(origin)))]
    pub client_url: Vec<String>,
    /// `FRONTEND_URL`: origins of the marketplace's web apps.
    #[garde(inner(custom(origin)))]
    pub frontend_url: Vec<String>,
    /// `PUBLIC_URL`: how providers reach this server, for their callbacks.
    #[garde(inner(custom(base_url)))]
    pub public_url: Option<String>,
    /// `MAX_PAYLOAD`: bytes of one websocket message, polling body or REST body.
    #[serde(deserialize_with = "notation::size")]
    #[garde(range(min = 1024))]
    pub max_payload_bytes: usize,
    /// `TRUSTED_PROXIES`: whose `X-Forwarded-For` is believed.
    #[serde(deserialize_with = "notation::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// `DRAIN_TIMEOUT`: from SIGTERM to exit.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// Until the first byte of a connection.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub first_byte_timeout: Duration,
    /// How long a connection is kept without a request.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub keep_alive: Duration,
    /// From the first byte of a request until its headers are complete.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub header_timeout: Duration,
    /// Until a request's body is complete.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub body_timeout: Duration,
    /// Bytes of a body that comes without credentials.
    #[serde(deserialize_with = "notation::size")]
    #[garde(range(min = 1024))]
    pub open_body_bytes: usize,
    /// Until a body that comes without credentials is complete.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub open_body_timeout: Duration,
    /// Headers of one request.
    #[garde(range(min = 16))]
    pub max_headers: usize,
    /// Bytes of one request's headers.
    #[serde(deserialize_with = "notation::size")]
    #[garde(range(min = 8192))]
    pub max_header_bytes: usize,
}

impl ServerConfig {
    /// The origins that may connect with credentials.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.client_url.iter().chain(&self.frontend_url).map(String::as_str)
    }
}

/// `[auth]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct AuthConfig {
    /// `JWT_SECRET`: HS256, HS384 and HS512 key, at least 32 bytes.
    #[serde(serialize_with = "notation::hidden")]
    pub jwt_secret: Option<SecretString>,
    /// `JWT_SECRET_PREVIOUS`: a key that is still believed, and signs nothing.
    #[serde(serialize_with = "notation::hidden")]
    pub jwt_secret_previous: Option<SecretString>,
    /// `JWT_SHORT_SECRET`
    pub jwt_short_secret: ShortSecret,
    /// `JWT_PUBLIC_KEY`: a PEM of one key or several, or the path of one.
    #[garde(inner(custom(public_key)))]
    pub jwt_public_key: Option<String>,
    /// `JWT_JWKS`: a file or an https URL.
    #[garde(inner(custom(jwks)))]
    pub jwt_jwks: Option<String>,
    /// How often a JWKS URL is asked again.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub jwks_refresh: Duration,
    /// `JWT_ISSUER`: required in tokens when set.
    pub jwt_issuer: Option<String>,
    /// `JWT_AUDIENCE`: required in tokens when set.
    pub jwt_audience: Option<String>,
    /// How far a token's times may be off.
    #[serde(with = "humantime_serde")]
    pub leeway: Duration,
    /// `AUTH_COOKIES`: cookies that may carry a token, in order.
    #[garde(inner(custom(cookie_name)))]
    pub cookies: Vec<String>,
    /// `AUTH_COOKIE_SECRET`: opens cookies that Express's cookie-parser signed.
    #[serde(serialize_with = "notation::hidden")]
    pub cookie_secret: Option<SecretString>,
    /// `AUTH_QUERY`: a query parameter that may carry a token.
    #[garde(inner(custom(query_parameter)))]
    pub query: Option<String>,
    /// `HANDSHAKE`
    pub handshake: Handshake,
    /// `API_KEYS`: `name:sha256hex[:scopes]` entries.
    #[serde(serialize_with = "notation::hidden_keys")]
    #[garde(inner(custom(api_key)))]
    pub api_keys: Vec<String>,
    /// An app's own words for roles, and the roles that each stands for, with `+` between them.
    pub role_names: BTreeMap<String, String>,
}

/// `JWT_SHORT_SECRET`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShortSecret {
    /// A secret of less than 32 bytes stops the start.
    Refuse,
    /// It is taken, and warned of.
    Accept,
}

/// `HANDSHAKE`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Handshake {
    /// A socket without a valid token is refused.
    Required,
    /// A socket without a token is believed when it says who it is.
    Trusting,
}

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
    /// `EVENT_AUDIENCE`
    pub event_audience: EventAudience,
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

/// `[presence]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct PresenceConfig {
    /// `PRESENCE_GRACE`
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// How long changes are gathered before they are announced in one pass.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub window: Duration,
    /// `PRESENCE_AUDIENCE`
    pub audience: PresenceAudience,
}

/// `PRESENCE_AUDIENCE`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PresenceAudience {
    /// Every socket is told of everyone.
    Everyone,
    /// Those who share a conversation or a request with the user, and admins.
    Contacts,
    /// Nobody is told; REST answers.
    Off,
}

/// `[rooms]`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoomsConfig {
    /// `ROOM_POLICY`
    pub policy: RoomPolicy,
}

/// `ROOM_POLICY`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoomPolicy {
    /// Only who has the right.
    Strict,
    /// Also anyone, where this server has no record of the room's id.
    Open,
}

/// `[log]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct LogConfig {
    /// `LOG_LEVEL`: a tracing filter.
    #[garde(custom(log_filter))]
    pub level: String,
    /// `LOG_FORMAT`; unset takes `pretty` on a terminal, else `json`.
    pub format: Option<LogFormat>,
}

/// `LOG_FORMAT`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines, one object a line.
    Json,
}

/// `[metrics]`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MetricsConfig {
    /// `METRICS_PORT`: serves `/metrics` there instead of on the public port.
    #[serde(default, deserialize_with = "notation::port")]
    pub port: Option<u16>,
}
