//! What values have to be together, and what of them an operator should know.

use garde::{Error, Path, Report, Validate};

use super::{
    auth::{Handshake, MIN_SECRET_BYTES, ShortSecret},
    sections::{Config, Environment},
    server::ServerConfig,
    shkeeper::WebhookMode,
};
use crate::origin::Origin;

/// More are not counted of one transport (`limits::Allowance`).
const MAX_PACKETS: u32 = 60_000;

impl Config {
    /// Checks every value, and those that belong together.
    ///
    /// # Errors
    /// Every invalid key with a sentence.
    pub fn validate(&self) -> Result<(), Report> {
        let mut report = Validate::validate(self).err().unwrap_or_else(Report::new);
        let mut refuse = |section: &str, key: &str, sentence: &str| {
            report.append(Path::new(section).join(key), Error::new(sentence));
        };
        if self.environment == Environment::Production && !self.auth.has_key() {
            refuse(
                "auth",
                "jwt_secret",
                "production needs a key to verify tokens with: set JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS",
            );
        }
        for (key, bytes) in self.auth.short_secrets() {
            if self.auth.jwt_short_secret == ShortSecret::Refuse {
                let sentence = format!(
                    "has {bytes} bytes and needs at least {MIN_SECRET_BYTES}, or JWT_SHORT_SECRET=accept"
                );
                refuse("auth", key, &sentence);
            }
        }
        if self.metrics.port.is_some_and(|port| port != 0 && port == self.server.port) {
            refuse(
                "metrics",
                "port",
                "this is the public port; leave it unset to serve both there",
            );
        }
        let ServerConfig { drain_delay, drain_timeout, .. } = self.server;
        if !drain_delay.is_zero() && drain_delay >= drain_timeout {
            refuse(
                "server",
                "drain_delay",
                "it is part of drain_timeout (DRAIN_TIMEOUT), which has to be longer",
            );
        }
        if self.limits.packets.burst > MAX_PACKETS {
            refuse("limits", "packets.burst", "at most 60000 can be counted");
        }
        self.accounts.check(&self.auth, &self.users, &mut report);
        let development = self.environment == Environment::Development;
        self.proxy.check(development, &mut report);
        self.webhooks.check(development, &mut report);
        self.bridge.check(&self.cluster, &mut report);
        self.shkeeper.check(&self.server, &mut report);
        self.admin_ui.check(&mut report);
        if report.is_empty() { Ok(()) } else { Err(report) }
    }

    /// What is allowed, but an operator should know.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |sentence: &str| warnings.push(sentence.to_owned());
        if self.auth.handshake == Handshake::Trusting {
            warn("HANDSHAKE=trusting: a socket without a token is believed when it says who it is");
        }
        for (key, bytes) in self.auth.short_secrets() {
            warn(&format!(
                "auth.{key} has {bytes} bytes: with less than {MIN_SECRET_BYTES}, whoever has a token can guess it and make others"
            ));
        }
        let anybodys =
            |origin: &&str| origin.parse().is_ok_and(|origin: Origin| origin.is_anybodys());
        for origin in self.server.origins().filter(anybodys) {
            warn(&format!(
                "the origin {origin} is allowed: every page in a sandbox or from a file says that it comes from there, and calls with the cookies of whoever looks at it"
            ));
        }
        if !self.limits.enabled {
            warn("LIMITS=off: rates and per-address caps are lifted");
        }
        if let Some(sentence) = self.proxy.warning() {
            warn(sentence);
        }
        if self.shkeeper.webhooks == WebhookMode::Legacy {
            warn(
                "shkeeper.webhooks=legacy: whoever has seen one callback of SHKeeper can send others",
            );
        }
        if self.realtime.max_pending_bytes < self.server.max_payload_bytes {
            warn(
                "realtime.max_pending_bytes is less than server.max_payload_bytes: the largest message closes whoever receives it",
            );
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A hash of bcrypt's.
    const HASH: &str = "$2b$04$......................LAtw7/ohmmBAhnXqmkuIz83Rl5Qdjhm";

    #[test]
    fn production_needs_a_key() {
        let mut config = Config::for_tests();
        config.environment = Environment::Production;
        assert!(config.validate().is_ok());
        config.auth.jwt_secret = None;
        let report = config.validate().unwrap_err().to_string();
        assert!(report.starts_with("auth.jwt_secret: production needs a key"), "{report}");
        config.auth.jwt_jwks = Some("https://id.example.com/jwks.json".to_owned());
        assert!(config.validate().is_ok());
    }

    #[test]
    fn a_short_secret_is_taken_where_that_is_wanted_and_warned_of() {
        let mut config = Config::for_tests();
        config.auth.jwt_secret = Some("short".into());
        assert!(config.validate().is_err());
        config.auth.jwt_short_secret = ShortSecret::Accept;
        assert!(config.validate().is_ok());
        let warnings = config.warnings().join(" ");
        assert!(warnings.contains("auth.jwt_secret has 5 bytes"), "{warnings}");
        assert!(!warnings.contains("short"), "{warnings}");
    }

    #[test]
    fn each_bad_value_is_refused_by_its_key() {
        type Spoil = fn(&mut Config);
        let cases: [(&str, Spoil); 36] = [
            ("realtime.ping_interval", |c| c.realtime.ping_interval = Duration::ZERO),
            ("realtime.client_version", |c| c.realtime.client_version = "../x".to_owned()),
            ("realtime.ping_timeout", |c| c.realtime.ping_timeout = Duration::ZERO),
            ("presence.window", |c| c.presence.window = Duration::ZERO),
            ("server.header_timeout", |c| c.server.header_timeout = Duration::ZERO),
            ("server.max_payload_bytes", |c| c.server.max_payload_bytes = 0),
            ("server.client_url[0]", |c| c.server.client_url = vec!["*".to_owned()]),
            ("server.drain_delay", |c| c.server.drain_delay = c.server.drain_timeout),
            ("auth.jwt_secret", |c| c.auth.jwt_secret = Some("a".repeat(31).into())),
            ("auth.jwt_secret_previous", |c| {
                c.auth.jwt_secret_previous = Some("a".repeat(31).into());
            }),
            ("auth.query", |c| c.auth.query = Some("sid".to_owned())),
            ("auth.cookies[1]", |c| c.auth.cookies = vec!["a".to_owned(), "b c".to_owned()]),
            ("auth.jwt_public_key", |c| {
                c.auth.jwt_public_key = Some("-----BEGIN PRIVATE KEY-----".to_owned());
            }),
            ("database.url", |c| c.database.url = Some("sqlite://:memory:".into())),
            ("database.pool_size", |c| c.database.pool_size = 0),
            ("database.queue_length", |c| c.database.queue_length = 0),
            ("database.queue_bytes", |c| c.database.queue_bytes = 1000),
            ("database.read_timeout", |c| c.database.read_timeout = Duration::ZERO),
            ("database.write_timeout", |c| c.database.write_timeout = Duration::from_secs(9)),
            ("database.lock_timeout", |c| c.database.lock_timeout = Duration::ZERO),
            ("database.event_retention", |c| {
                c.database.event_retention = Duration::ZERO;
            }),
            ("database.event_count", |c| c.database.event_count = 0),
            ("database.message_retention", |c| {
                c.database.message_retention = Some(Duration::from_hours(23));
            }),
            ("limits.joins.burst", |c| c.limits.joins.burst = 0),
            ("server.public_url", |c| c.server.public_url = Some("stoa.example.com".to_owned())),
            ("shkeeper.user", |c| {
                (c.shkeeper.user, c.shkeeper.password) = (Some("a:b".to_owned()), Some("c".into()));
            }),
            ("shkeeper.api_key", |c| c.shkeeper.api_key = Some("a key".into())),
            ("shkeeper.crypto", |c| c.shkeeper.crypto = "eth/usdt".to_owned()),
            ("shkeeper.timeout", |c| c.shkeeper.timeout = Duration::ZERO),
            ("shkeeper.poll_interval", |c| c.shkeeper.poll_interval = Duration::ZERO),
            ("log.level", |c| c.log.level = "stoa=loud".to_owned()),
            ("admin_ui.hash", |c| c.admin_ui.user = Some("admin".to_owned())),
            ("admin_ui.user", |c| c.admin_ui.hash = Some(HASH.into())),
            ("admin_ui.hash", |c| {
                c.admin_ui.user = Some("admin".to_owned());
                c.admin_ui.hash = Some("changeit".into());
            }),
            ("admin_ui.hash", |c| {
                c.admin_ui.user = Some("admin".to_owned());
                c.admin_ui.hash = Some(HASH.replace("$04$", "$15$").into());
            }),
            ("metrics.port", |c| (c.server.port, c.metrics.port) = (3003, Some(3003))),
        ];
        for (key, spoil) in cases {
            let mut config = Config::for_tests();
            spoil(&mut config);
            let report = config.validate().unwrap_err();
            let keys: Vec<_> = report.iter().map(|(path, _)| path.to_string()).collect();
            assert_eq!(keys, [key]);
        }
    }
}
