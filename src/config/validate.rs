//! What a value has to be beyond its type, and what values have to be together.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use std::{net::IpAddr, time::Duration};

use garde::{Error, Path, Report, Validate};
use http::Uri;
use secrecy::{ExposeSecret, SecretString};

use super::{Config, Environment, Handshake, ShortSecret, WebhookMode};
use crate::origin::Origin;

/// The shortest HS256 key that is taken: as long as its hash (RFC 7518, section 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

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
        if self.limits.packets.burst > MAX_PACKETS {
            refuse("limits", "packets.burst", "at most 60000 can be counted");
        }
        self.validate_accounts(&mut report);
        self.validate_shkeeper(&mut report);
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

impl super::AuthConfig {
    /// Whether there is anything to verify a token with.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.jwt_secret.is_some() || self.jwt_public_key.is_some() || self.jwt_jwks.is_some()
    }

    /// The secrets that are shorter than they should be, by their keys, with their lengths.
    fn short_secrets(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let secrets =
            [("jwt_secret", &self.jwt_secret), ("jwt_secret_previous", &self.jwt_secret_previous)];
        secrets.into_iter().filter_map(|(key, secret)| {
            let bytes = secret.as_ref()?.expose_secret().len();
            (bytes < MIN_SECRET_BYTES).then_some((key, bytes))
        })
    }
}

/// `Ok` when `met`, else the sentence.
pub(super) fn require(met: bool, sentence: &str) -> garde::Result {
    if met { Ok(()) } else { Err(Error::new(sentence)) }
}

pub(super) fn positive(duration: &Duration, (): &()) -> garde::Result {
    require(!duration.is_zero(), "has to be longer than zero")
}

/// Missed events can be had for a day (docs/contract/events.md#missed-events).
pub(super) fn at_least_a_day(duration: &Duration, (): &()) -> garde::Result {
    require(*duration >= Duration::from_hours(24), "has to be at least 24h")
}

/// Who asked waits ten seconds for a unit of work, so all that it may take has to fit in there.
pub(super) fn unit_time(duration: &Duration, (): &()) -> garde::Result {
    let fits = (Duration::from_millis(100)..=Duration::from_secs(8)).contains(duration);
    require(fits, "has to be 100ms to 8s")
}

/// `sqlite://` with a path, or `postgres://`; the URL itself is never shown.
pub(super) fn database_url(url: &SecretString, (): &()) -> garde::Result {
    let url = url.expose_secret();
    let file = url
        .strip_prefix("sqlite://")
        .is_some_and(|path| !path.is_empty() && path != ":memory:" && !path.contains(['?', '#']));
    let server = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    require(file || server, "is neither sqlite://<path of a file> nor postgres://…")
}

/// A parameter's name that needs no escape (RFC 3986, section 2.3), and is none of Engine.IO's own.
pub(super) fn query_parameter(name: &str, (): &()) -> garde::Result {
    const ENGINE: [&str; 5] = ["EIO", "transport", "sid", "t", "b64"];
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    require(
        !name.is_empty() && name.bytes().all(plain) && !ENGINE.contains(&name),
        "has to be a name of the characters [A-Za-z0-9._~-], none that Engine.IO uses",
    )
}

pub(super) fn public_key(key: &str, (): &()) -> garde::Result {
    require(!key.contains("PRIVATE KEY"), "this is a private key; only the public one belongs here")
}

/// A path, an https URL, or a plain one of this very machine.
pub(super) fn jwks(source: &str, (): &()) -> garde::Result {
    if !source.contains("://") {
        return Ok(());
    }
    let Ok(url) = source.parse::<Uri>() else {
        return Err(Error::new("is neither a path nor a URL"));
    };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    require(
        url.scheme_str() == Some("https") || url.scheme_str() == Some("http") && loopback,
        "keys are fetched over https only (plain http only from this machine)",
    )
}

/// An origin as browsers send it (RFC 6454, section 6.2).
pub(super) fn origin(origin: &str, (): &()) -> garde::Result {
    require(origin != "*", "`*` is refused, because credentials are sent: list the origins")?;
    let exact = origin.parse::<Origin>().is_ok_and(|read| read.to_string() == origin);
    require(
        exact && !origin.contains('*'),
        &format!(
            "`{origin}` is not an origin as browsers send it: scheme://host[:port] in lower case, \
             without a path, a slash at the end or the scheme's own port, names in Punycode"
        ),
    )
}

pub(super) fn cookie_name(name: &str, (): &()) -> garde::Result {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    require(!name.is_empty() && name.bytes().all(token), "is not a cookie's name (RFC 6265)")
}

/// `name:sha256hex[:scopes]`; the entry itself is never shown.
pub(super) fn api_key(entry: &str, (): &()) -> garde::Result {
    let mut parts = entry.splitn(3, ':');
    let (name, hash) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let named =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.@-".contains(&b));
    let hashed = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    require(
        named && hashed && parts.next() != Some(""),
        "has to be name:sha256hex[:scopes], with the key's SHA-256 as 64 hex digits",
    )
}

pub(super) fn log_filter(filter: &str, (): &()) -> garde::Result {
    // A word that is no level would be the name of a module, and everything else silent.
    let is_level = |word: &str| word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    let words = filter.split(',').map(str::trim).filter(|word| !word.is_empty());
    for word in words.filter(|word| !word.contains(['=', '['])) {
        require(
            is_level(word),
            &format!("`{word}` is none of error, warn, info, debug, trace, off"),
        )?;
    }
    let parsed = tracing_subscriber::EnvFilter::try_new(filter);
    parsed.map(drop).map_err(|error| Error::new(format!("`{filter}` is not a log filter: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_taken_only_as_browsers_send_it() {
        for good in [
            "http://localhost:5175",
            "https://app.example.com",
            "https://app.example.com:8443",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
            "capacitor://localhost",
        ] {
            assert!(origin(good, &()).is_ok(), "{good}");
        }
        for bad in [
            "*",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/chat",
            "https://App.example.com",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://app.example.com:99999",
            "https://app.example.com:443.evil.example",
            "https://b\u{fc}cher.example",
            "http://[0:0::1]:3000",
            "http://127.1:3000",
            "https://me@app.example.com",
            "https://*.example.com",
            "",
        ] {
            assert!(origin(bad, &()).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_come_from_a_file_or_over_https() {
        for good in [
            "/etc/stoa/jwks.json",
            "jwks.json",
            "https://id.example.com/jwks.json",
            "http://localhost:9000/jwks",
            "http://127.0.0.1/jwks",
            "http://[::1]:9000/jwks",
        ] {
            assert!(jwks(good, &()).is_ok(), "{good}");
        }
        for bad in [
            "http://id.example.com/jwks.json",
            "http://localhost.example.com/jwks",
            "ftp://localhost/jwks",
            "https://",
        ] {
            assert!(jwks(bad, &()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_api_key_has_a_name_and_a_sha256() {
        let hash = "ab".repeat(32);
        for good in [format!("shop:{hash}"), format!("shop-2.eu:{hash}:emit")] {
            assert!(api_key(&good, &()).is_ok(), "{good}");
        }
        for bad in [
            hash.clone(),
            format!(":{hash}"),
            format!("a b:{hash}"),
            "shop:".to_owned(),
            format!("shop:{}", &hash[1..]),
            format!("shop:{}", "zz".repeat(32)),
            format!("shop:{hash}:"),
        ] {
            assert!(api_key(&bad, &()).is_err(), "{bad}");
        }
    }

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
        let cases: [(&str, Spoil); 29] = [
            ("realtime.ping_interval", |c| c.realtime.ping_interval = Duration::ZERO),
            ("realtime.ping_timeout", |c| c.realtime.ping_timeout = Duration::ZERO),
            ("presence.window", |c| c.presence.window = Duration::ZERO),
            ("server.header_timeout", |c| c.server.header_timeout = Duration::ZERO),
            ("server.max_payload_bytes", |c| c.server.max_payload_bytes = 0),
            ("server.client_url[0]", |c| c.server.client_url = vec!["*".to_owned()]),
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
                c.database.event_retention = Duration::from_hours(23);
            }),
            ("database.event_count", |c| c.database.event_count = 9_999),
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
