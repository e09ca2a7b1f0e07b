//! Which layer wins, how values are written, and what an operator reads when one is wrong.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::config::{Environment, Handshake, LogFormat, PresenceAudience, RoomPolicy, WebhookMode};

mod written;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn with(pairs: &[(&str, &str)]) -> Config {
    load(&Flags::default(), env(pairs)).unwrap().config
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    load(&Flags::default(), env(pairs)).unwrap_err().to_string()
}

/// A folder with a file, and flags that name it as the configuration.
fn file(text: &str) -> (tempfile::TempDir, Flags) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stoa.toml");
    fs::write(&path, text).unwrap();
    (folder, Flags { config: Some(path), ..Flags::default() })
}

fn shown(config: &Config) -> serde_json::Value {
    serde_json::to_value(config).unwrap()
}

#[test]
fn without_settings_the_contract_s_defaults_apply() {
    let config = with(&[]);
    assert_eq!(config.environment, Environment::Development);
    assert_eq!((config.server.host.to_string().as_str(), config.server.port), ("0.0.0.0", 3003));
    assert_eq!(
        config.server.origins().collect::<Vec<_>>(),
        ["http://localhost:5175", "http://localhost:3000"]
    );
    assert_eq!(config.server.max_payload_bytes, 1_000_000);
    assert_eq!(config.server.max_header_bytes, 32 * 1024);
    assert_eq!(config.server.drain_timeout, Duration::from_secs(20));
    assert_eq!(config.realtime.max_pending_bytes, 1024 * 1024);
    assert_eq!(config.realtime.ping_interval, Duration::from_secs(25));
    assert_eq!(config.realtime.ping_timeout, Duration::from_mins(1));
    assert_eq!(config.presence.grace, Duration::from_secs(3));
    assert_eq!(config.presence.audience, PresenceAudience::Everyone);
    assert_eq!(config.auth.cookies, ["token", "accessToken"]);
    assert_eq!(config.auth.handshake, Handshake::Required);
    assert_eq!(config.rooms.policy, RoomPolicy::Strict);
    assert!(config.limits.enabled);
    assert_eq!(config.database.event_retention, Duration::from_hours(24));
    assert_eq!((config.database.event_count, config.database.pool_size), (10_000, 8));
    assert_eq!((config.database.queue_length, config.database.queue_bytes), (4096, 64 << 20));
    for limit in [config.database.read_timeout, config.database.write_timeout] {
        assert_eq!(limit, Duration::from_secs(3));
    }
    assert_eq!(config.database.lock_timeout, Duration::from_secs(2));
    assert!(config.database.url.is_none(), "the file in the data folder");
    assert!(config.auth.jwt_secret.is_none() && config.metrics.port.is_none());
    assert_eq!(config.notifications.retention, Duration::from_hours(90 * 24));
    assert_eq!(config.points.levels.len(), 5);
    assert!(config.shkeeper.url.is_none(), "no payment provider");
    assert_eq!(config.shkeeper.crypto, "ETH-USDT");
    assert_eq!(config.shkeeper.webhooks, WebhookMode::Signed);
    assert_eq!(config.shkeeper.timeout, Duration::from_secs(30));
    assert_eq!(config.shkeeper.poll_interval, Duration::from_secs(30));
}

#[test]
fn each_layer_wins_over_the_one_below() {
    let (_folder, mut flags) = file("[server]\nport = 1\nmax_headers = 32\n[log]\nlevel = 'warn'");
    let load_with = |flags: &Flags, pairs| load(flags, env(pairs)).unwrap().config;
    let config = load_with(&flags, &[]);
    assert_eq!((config.server.port, config.server.max_headers), (1, 32));
    assert_eq!(config.log.level, "warn");
    let config = load_with(&flags, &[("PORT", "2"), ("LOG_LEVEL", "")]);
    assert_eq!((config.server.port, config.log.level.as_str()), (2, "warn"));
    flags.port = Some(3);
    flags.log_level = Some("debug".to_owned());
    let config = load_with(&flags, &[("PORT", "2")]);
    assert_eq!((config.server.port, config.log.level.as_str()), (3, "debug"));
}

#[test]
fn values_are_written_as_the_contract_says() {
    let config = with(&[
        ("PORT", " 0 "),
        ("CLIENT_URL", "https://a.example.com, https://b.example.com"),
        ("FRONTEND_URL", ","),
        ("MAX_PAYLOAD", "100kB"),
        ("STOA_REALTIME__MAX_PENDING_BYTES", "2MiB"),
        ("STOA_SERVER__MAX_HEADER_BYTES", "8192"),
        ("PRESENCE_GRACE", "300ms"),
        ("PRESENCE_AUDIENCE", "contacts"),
        ("DRAIN_TIMEOUT", "2m"),
        ("STOA_LIMITS__JOINS__PER_SECOND", "7"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.1,::1"),
        ("LIMITS", "off"),
        ("METRICS_PORT", "9100"),
        ("LOG_FORMAT", "json"),
        ("JWT_SECRET", "12345678901234567890123456789012"),
    ]);
    assert_eq!(config.server.port, 0);
    assert_eq!(config.server.client_url, ["https://a.example.com", "https://b.example.com"]);
    assert!(config.server.frontend_url.is_empty());
    assert_eq!(config.server.max_payload_bytes, 100_000);
    assert_eq!(config.realtime.max_pending_bytes, 2 * 1024 * 1024);
    assert_eq!(config.server.max_header_bytes, 8192);
    assert_eq!(config.presence.grace, Duration::from_millis(300));
    assert_eq!(config.presence.audience, PresenceAudience::Contacts);
    assert_eq!(config.server.drain_timeout, Duration::from_mins(2));
    assert_eq!((config.limits.joins.per_second, config.limits.joins.burst), (7, 500));
    let proxies: Vec<_> = config.server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "127.0.0.1/32", "::1/128"]);
    assert!(!config.limits.enabled);
    assert_eq!((config.metrics.port, config.log.format), (Some(9100), Some(LogFormat::Json)));
    assert!(with(&[("LIMITS", "true")]).limits.enabled);
}

#[test]
fn levels_are_set_in_the_file_and_a_bad_one_is_named() {
    let text =
        "[points]\nlevels = [{ level = 1, points = 0 }, { level = 9, points = 5, perks = ['x'] }]";
    let (_folder, flags) = file(text);
    let levels = load(&flags, []).unwrap().config.points.levels;
    assert_eq!(levels.iter().map(|level| level.level).collect::<Vec<_>>(), [1, 9]);
    for (text, told) in [
        ("levels = []", "points.levels"),
        ("levels = [{ level = 1, points = 5 }]", "begin with one of 0 points"),
        ("levels = [{ level = 1, points = 0 }, { level = 2, points = 0 }]", "that rise"),
        ("levels = [{ level = 1, points = 0, perks = [''] }]", "points.levels[0].perks[0]"),
        ("levels = [{ level = 1, points = 0, perk = 'x' }]", "points.levels"),
        ("levels = [{ points = 0 }]", "points.levels"),
    ] {
        let (_folder, flags) = file(&format!("[points]\n{text}"));
        let refused = load(&flags, []).unwrap_err().to_string();
        assert!(refused.contains(told), "{text}: {refused}");
    }
    assert!(refusal(&[("STOA_NOTIFICATIONS__RETENTION", "23h")]).contains("at least 24h"));
}

#[test]
fn an_apps_own_words_are_set_in_the_file_and_in_the_environment() {
    let names = |config: &Config| -> Vec<(String, String)> {
        config.auth.role_names.clone().into_iter().collect()
    };
    let expected = env(&[("member", "buyer+seller"), ("vendor", "seller")]);
    let variable = ("STOA_AUTH__ROLE_NAMES", "vendor=seller, member = buyer+seller");
    assert_eq!(names(&with(&[variable])), expected);
    let text = "[auth.role_names]\nvendor = 'seller'\nmember = 'buyer+seller'";
    for text in [text, "[auth]\nrole_names = { vendor = 'seller', member = 'buyer+seller' }"] {
        let (_folder, flags) = file(text);
        let loaded = load(&flags, []).unwrap();
        assert_eq!(names(&loaded.config), expected);
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let (_folder, flags) = file(&toml::to_string(&loaded.config).unwrap());
        assert_eq!(names(&load(&flags, []).unwrap().config), expected);
    }
    let pairs = env(&[("STOA_AUTH__ROLE_NAMES", "vendor")]);
    let error = load(&Flags::default(), pairs).unwrap_err().to_string();
    assert!(error.contains("auth.role_names (from STOA_AUTH__ROLE_NAMES)"), "{error}");
}

#[test]
fn a_bad_value_names_its_key_and_its_origin() {
    let cases = [
        ("PORT", "http", "server.port (from PORT): `http` is not a whole number"),
        ("PORT", "70000", "server.port (from PORT): "),
        ("PING_INTERVAL", "25", "realtime.ping_interval (from PING_INTERVAL): "),
        ("PING_TIMEOUT", "0s", "realtime.ping_timeout (from PING_TIMEOUT): has to be longer"),
        ("MAX_PAYLOAD", "big", "server.max_payload_bytes (from MAX_PAYLOAD): a size is written"),
        ("HANDSHAKE", "maybe", "auth.handshake (from HANDSHAKE): unknown variant `maybe`"),
        (
            "PRESENCE_AUDIENCE",
            "friends",
            "presence.audience (from PRESENCE_AUDIENCE): unknown variant `friends`",
        ),
        ("LIMITS", "maybe", "limits.enabled (from LIMITS): `maybe` is neither on nor off"),
        ("METRICS_PORT", "x", "metrics.port (from METRICS_PORT): a port is a number"),
        ("TRUSTED_PROXIES", "10/8", "server.trusted_proxies (from TRUSTED_PROXIES): `10/8` is"),
        ("CLIENT_URL", "http://a.b,*", "server.client_url[1] (from CLIENT_URL): `*` is refused"),
        ("STOA_LIMITS__TYPING__BURST", "0", "limits.typing.burst (from STOA_LIMITS__TYPING__BURST"),
        ("STOA_ENV", "production", "auth.jwt_secret: production needs a key"),
        (
            "PUBLIC_URL",
            "https://a.b/",
            "server.public_url (from PUBLIC_URL): has to be like https:",
        ),
        (
            "SHKEEPER_URL",
            "shkeeper:5000",
            "shkeeper.url (from SHKEEPER_URL): has to be like https:",
        ),
        ("SHKEEPER_USER", "admin", "shkeeper.password: belongs to SHKEEPER_USER"),
        (
            "STOA_SHKEEPER__WEBHOOKS",
            "no",
            "shkeeper.webhooks (from STOA_SHKEEPER__WEBHOOKS): unknown",
        ),
    ];
    for (name, value, expected) in cases {
        let refusal = refusal(&[(name, value)]);
        assert!(refusal.starts_with(expected), "{name}={value}: {refusal}");
    }
    let (folder, flags) = file("[server]\nport = 'x'");
    let refusal = load(&flags, []).unwrap_err().to_string();
    let place = folder.path().join("stoa.toml");
    assert!(refusal.starts_with(&format!("server.port (from {})", place.display())), "{refusal}");
}

#[test]
fn production_allows_no_page_that_nobody_named() {
    let secret = "x".repeat(32);
    let origins = |names: &[(&str, &str)]| {
        let names = [&[("STOA_ENV", "production"), ("JWT_SECRET", &secret)], names].concat();
        with(&names).server.origins().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(origins(&[]).is_empty());
    assert_eq!(origins(&[("CLIENT_URL", "https://a.example")]), ["https://a.example"]);
    let local = "http://localhost:3000";
    assert_eq!(origins(&[("FRONTEND_URL", local)]), [local], "named, so meant");
}

#[test]
fn a_value_in_the_place_of_a_section_is_refused() {
    for (text, key) in [("server = 1", "server"), ("[limits]\njoins = 5", "limits.joins")] {
        let (_folder, flags) = file(text);
        let refusal = load(&flags, []).unwrap_err().to_string();
        assert!(refusal.starts_with(&format!("{key} (from /")), "{refusal}");
    }
    let (_folder, flags) = file("auth = 'hush hush'");
    let refusal = load(&flags, []).unwrap_err().to_string();
    assert!(refusal.starts_with("auth (from /") && !refusal.contains("hush"), "{refusal}");
}

#[test]
fn every_bad_value_is_named_at_once() {
    let refusal = refusal(&[("PING_INTERVAL", "0s"), ("JWT_SECRET", "short")]);
    assert_eq!(
        refusal,
        "realtime.ping_interval (from PING_INTERVAL): has to be longer than zero; \
         auth.jwt_secret (from JWT_SECRET): has 5 bytes and needs at least 32, or \
         JWT_SHORT_SECRET=accept"
    );
}

#[test]
fn a_file_that_is_not_toml_is_refused_by_its_line_without_its_text() {
    let (_folder, flags) = file("[auth]\njwt_secret = \"hush hush\n");
    let refusal = load(&flags, []).unwrap_err().to_string();
    assert!(refusal.contains("stoa.toml: line 2: "), "{refusal}");
    assert!(!refusal.contains("hush"), "{refusal}");
    let missing = Flags { config: Some("no/such.toml".into()), ..Flags::default() };
    assert!(load(&missing, []).unwrap_err().to_string().starts_with("no/such.toml: "));
}

#[test]
fn what_nobody_reads_is_warned_about_and_ignored() {
    let (folder, flags) = file("colour = 1\n[server]\nprot = 1\n[paint]\ncolour = 'red'");
    let place = folder.path().join("stoa.toml").display().to_string();
    let variables = env(&[
        ("STOA_SERVER__PROT", "1"),
        ("STOA_PORT", "1"),
        ("SHELL", "sh"),
        ("STOA_TOKEN", "of a command"),
    ]);
    let loaded = load(&flags, variables).unwrap();
    assert_eq!(
        loaded.warnings,
        [
            format!("{place}: the unknown key colour is ignored"),
            format!("{place}: the unknown key paint.colour is ignored"),
            format!("{place}: the unknown key server.prot is ignored"),
            "the unknown variable STOA_PORT is ignored; PORT is one".to_owned(),
            "the unknown variable STOA_SERVER__PROT is ignored; STOA_SERVER__PORT is one"
                .to_owned(),
        ]
    );
    assert_eq!(loaded.config.server.port, 3003);
}

#[test]
fn a_loosened_guard_is_warned_about() {
    let pairs = env(&[
        ("HANDSHAKE", "trusting"),
        ("CLIENT_URL", "https://app.example.com,null"),
        ("FRONTEND_URL", "file://"),
        ("LIMITS", "off"),
        ("STOA_SHKEEPER__WEBHOOKS", "legacy"),
        ("MAX_PAYLOAD", "5MB"),
    ]);
    let warnings = load(&Flags::default(), pairs).unwrap().warnings;
    let starts = [
        "HANDSHAKE=trusting",
        "the origin null is allowed",
        "the origin file:// is allowed",
        "LIMITS=off",
        "shkeeper.webhooks=legacy",
        "realtime.max_pending_bytes",
    ];
    assert_eq!(warnings.len(), starts.len());
    for (warning, start) in warnings.iter().zip(starts) {
        assert!(warning.starts_with(start), "{warning}");
    }
    assert!(load(&Flags::default(), []).unwrap().warnings.is_empty());
}

#[test]
fn a_secret_may_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let name = path.display().to_string();
    for (text, secret) in [
        (format!("{SECRET}\n"), SECRET.to_owned()),
        (format!("{SECRET}\r\n"), SECRET.to_owned()),
        (format!(" {SECRET}\n\n"), format!(" {SECRET}\n")),
    ] {
        fs::write(&path, text).unwrap();
        for variable in ["JWT_SECRET_FILE", "STOA_AUTH__JWT_SECRET_FILE"] {
            let config = with(&[(variable, &name), ("JWT_SECRET", "")]);
            assert_eq!(config.auth.jwt_secret.unwrap().expose_secret(), secret);
        }
    }
    let both = refusal(&[("JWT_SECRET", SECRET), ("JWT_SECRET_FILE", &name)]);
    assert_eq!(both, "JWT_SECRET and JWT_SECRET_FILE both set auth.jwt_secret; keep one of them");
    fs::write(&path, "\n").unwrap();
    let empty = refusal(&[("JWT_SECRET_FILE", &name)]);
    assert_eq!(empty, format!("auth.jwt_secret (from JWT_SECRET_FILE): {name}: the file is empty"));
    for variable in ["API_KEYS_FILE", "STOA_AUTH__API_KEYS_FILE"] {
        let missing = refusal(&[(variable, "no/such")]);
        assert!(
            missing.starts_with(&format!("auth.api_keys (from {variable}): no/such: No such file")),
            "{missing}"
        );
    }
    assert_eq!(with(&[("PORT_FILE", "no/such")]).server.port, 3003);
}

#[test]
fn two_names_of_one_key_are_refused() {
    let both = refusal(&[("PORT", "1"), ("STOA_SERVER__PORT", "2")]);
    assert_eq!(both, "PORT and STOA_SERVER__PORT both set server.port; keep one of them");
}

#[test]
fn no_secret_is_ever_shown() {
    let hash = "ab".repeat(32);
    let key = format!("shop:{hash}:emit");
    let url = "postgres://stoa:hush-hush@db/stoa";
    let config = with(&[
        ("JWT_SECRET", SECRET),
        ("API_KEYS", &key),
        ("DATABASE_URL", url),
        ("SHKEEPER_API_KEY", "hush-hush-key"),
        ("SHKEEPER_USER", "admin"),
        ("SHKEEPER_PASSWORD", "hush-hush-password"),
    ]);
    let shown = [format!("{config:?}"), toml::to_string(&config).unwrap()];
    assert!(shown[1].contains("jwt_secret = \"***\""), "{}", shown[1]);
    assert!(shown[1].contains("api_keys = [\"shop:***\"]"), "{}", shown[1]);
    assert!(shown[1].contains("api_key = \"***\""), "{}", shown[1]);
    assert!(shown[1].contains("password = \"***\""), "{}", shown[1]);
    assert!(shown.iter().all(|shown| !shown.contains(SECRET) && !shown.contains("hush-hush")));
    assert!(!shown[1].contains(&hash));

    let (_folder, flags) = file("[auth]\njwt_secret = 12345678\napi_keys = [87654321]");
    let refusals = [
        load(&flags, []).unwrap_err().to_string(),
        refusal(&[("JWT_SECRET", "12345678")]),
        refusal(&[("API_KEYS", "shop:12345678")]),
        refusal(&[("DATABASE_URL", "mysql://stoa:12345678@db")]),
        refusal(&[("SHKEEPER_API_KEY", "12345678 87654321")]),
        refusal(&[("REDIS_URL", "redis+unix:///run/12345678")]),
        refusal(&[("REDIS_URL", "redis://stoa:12345678@")]),
        refusal(&[("REDIS_URL", "rediss://stoa:12345678@cache/#insecure")]),
    ];
    for refusal in refusals {
        let named = ["auth.", "cluster.", "database.", "shkeeper."]
            .iter()
            .any(|key| refusal.starts_with(key));
        assert!(named, "{refusal}");
        assert!(!refusal.contains("12345678") && !refusal.contains("87654321"), "{refusal}");
    }
}

#[test]
fn what_is_wrong_with_a_value_is_told_with_one_that_is_right() {
    for (name, bad, example) in [
        ("PING_INTERVAL", "25", "(an example: 25s)"),
        ("PORT", "http", "(an example: 3003)"),
        ("HOST", "localhost", "(an example: "),
    ] {
        let refused = refusal(&[(name, bad)]);
        assert!(refused.contains(example) && refused.contains(name), "{refused}");
    }
}

#[test]
fn a_log_level_that_is_none_stops_the_start() {
    for bad in ["verbose", "info,verbose", "stoa=verbose"] {
        let refused = load(&Flags::default(), env(&[("LOG_LEVEL", bad)])).unwrap_err().to_string();
        assert!(refused.contains("verbose") && refused.contains("LOG_LEVEL"), "{refused}");
    }
    for good in ["warn", "INFO", "off", "info,stoa=debug", "stoa::rest=trace"] {
        assert!(load(&Flags::default(), env(&[("LOG_LEVEL", good)])).is_ok(), "{good}");
    }
}

#[test]
fn the_words_of_a_notification_are_what_one_may_have() {
    let cause = |part: &str, text: &str| {
        let name = format!("STOA_NOTIFICATIONS__CAUSES__OFFER_RECEIVED__{part}");
        load(&Flags::default(), env(&[(&name, text)]))
    };
    for (part, text) in [("TITLE", "New\noffer"), ("TYPE", "a\u{7}"), ("BODY", "\u{1b}[2J")] {
        let error = cause(part, text).unwrap_err().to_string();
        assert!(error.contains("control characters"), "{error}");
    }
    assert!(cause("BODY", "{amount}\n{currency}").is_ok());
    assert!(cause("BODY", "{reason}").unwrap_err().to_string().contains("stands for nothing"));
}
