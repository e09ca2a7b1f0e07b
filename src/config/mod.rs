//! Configuration: the embedded `config/default.toml`, a file, the environment, flags; then
//! validated. Names and meanings are those of docs/contract/environment.md.

mod accounts;
mod admin_ui;
mod auth;
mod bridge;
mod cluster;
mod database;
mod error;
mod limits;
mod load;
mod log;
mod metrics;
mod names;
mod notation;
mod notifications;
mod payments;
mod points;
mod presence;
mod proxy;
mod realtime;
mod rooms;
mod rules;
mod secret;
mod sections;
mod server;
mod shkeeper;
mod traces;
mod users;
mod validate;
mod webhooks;

pub use self::{
    accounts::{AccountsConfig, AccountsMode, Argon2Config},
    admin_ui::AdminUiConfig,
    auth::{AuthConfig, Handshake, MIN_SECRET_BYTES, ShortSecret},
    bridge::BridgeConfig,
    cluster::ClusterConfig,
    database::DatabaseConfig,
    error::{BadValue, ConfigError},
    limits::{LimitsConfig, Rate, RatePerMinute},
    load::{Flags, Loaded, load, load_here},
    log::{LogConfig, LogFormat},
    metrics::MetricsConfig,
    names::PLAIN_NAMES,
    notifications::{CauseConfig, CausesConfig, NotificationsConfig},
    payments::PaymentsConfig,
    points::{Level, PointsConfig},
    presence::{PresenceAudience, PresenceConfig},
    proxy::ProxyConfig,
    realtime::{EventAudience, RealtimeConfig},
    rooms::{RoomPolicy, RoomsConfig},
    secret::DevelopmentSecret,
    sections::{Config, Environment},
    server::ServerConfig,
    shkeeper::{ShkeeperConfig, WebhookMode},
    traces::TracesConfig,
    users::UsersConfig,
    webhooks::{DEFAULT_NAME, WebhookConfig, WebhooksConfig},
};
