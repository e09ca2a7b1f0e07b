//! Everything an operator can set: the sections, and what several of them decide together.

use std::{path::PathBuf, time::Duration};

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::{
    accounts::{AccountsConfig, AccountsMode},
    admin_ui::AdminUiConfig,
    auth::AuthConfig,
    bridge::BridgeConfig,
    cluster::ClusterConfig,
    database::DatabaseConfig,
    error::ConfigError,
    limits::LimitsConfig,
    log::LogConfig,
    metrics::MetricsConfig,
    notifications::NotificationsConfig,
    payments::PaymentsConfig,
    points::PointsConfig,
    presence::PresenceConfig,
    proxy::ProxyConfig,
    realtime::RealtimeConfig,
    rooms::RoomsConfig,
    secret::{self, DevelopmentSecret},
    server::ServerConfig,
    shkeeper::ShkeeperConfig,
    traces::TracesConfig,
    users::UsersConfig,
    webhooks::WebhooksConfig,
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
    /// The other nodes.
    #[garde(dive)]
    pub cluster: ClusterConfig,
    /// Other backends' emitters.
    #[garde(dive)]
    pub bridge: BridgeConfig,
    /// Who is here.
    #[garde(dive)]
    pub presence: PresenceConfig,
    /// Who may enter a room.
    pub rooms: RoomsConfig,
    /// What clients ask of another backend.
    #[garde(dive)]
    pub proxy: ProxyConfig,
    /// What backends are told.
    #[garde(dive)]
    pub webhooks: WebhooksConfig,
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
    /// Traces.
    #[garde(dive)]
    pub traces: TracesConfig,
    /// Who looks at it with the official Admin UI.
    #[garde(dive)]
    pub admin_ui: AdminUiConfig,
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

    /// Whether people sign up and sign in here. Known once there is a key.
    #[must_use]
    pub fn has_accounts(&self) -> bool {
        match self.accounts.mode {
            AccountsMode::On => true,
            AccountsMode::Off => false,
            AccountsMode::Auto => self.development_secret.is_some(),
        }
    }

    /// Gives development a key where none is configured: `<data>/jwt-secret`, made on first use.
    /// `None` where a key is configured, and in production.
    ///
    /// # Errors
    /// When the folder or the file cannot be made or read, or the secret is too short.
    pub fn ensure_key(&mut self) -> Result<Option<DevelopmentSecret>, ConfigError> {
        if self.auth.has_key() || self.environment == Environment::Production {
            return Ok(None);
        }
        let (development, secret) = secret::ensure(&self.data)?;
        self.auth.jwt_secret = Some(secret);
        self.development_secret = Some(development.clone());
        Ok(Some(development))
    }

    /// The same for whoever speaks to a server: the key is that server's, and none is made.
    ///
    /// # Errors
    /// When the file is not there or cannot be read, or the secret is too short.
    pub fn find_key(&mut self) -> Result<(), ConfigError> {
        if !self.auth.has_key() && self.environment == Environment::Development {
            self.auth.jwt_secret = Some(secret::find(&self.data)?);
        }
        Ok(())
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
