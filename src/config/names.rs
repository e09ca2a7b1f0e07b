//! The names of what is set: variables with a name of their own, those that are not served, and which
//! keys are secrets.

/// Variables with a name of their own, and the key that each sets. Every key also has
/// `STOA_<SECTION>__<KEY>` (docs/contract/environment.md).
pub const PLAIN_NAMES: &[(&str, &str)] = &[
    ("STOA_ENV", "environment"),
    ("STOA_DATA", "data"),
    ("HOST", "server.host"),
    ("PORT", "server.port"),
    ("CLIENT_URL", "server.client_url"),
    ("FRONTEND_URL", "server.frontend_url"),
    ("PUBLIC_URL", "server.public_url"),
    ("MAX_PAYLOAD", "server.max_payload_bytes"),
    ("TRUSTED_PROXIES", "server.trusted_proxies"),
    ("DRAIN_DELAY", "server.drain_delay"),
    ("DRAIN_TIMEOUT", "server.drain_timeout"),
    ("JWT_SECRET", "auth.jwt_secret"),
    ("JWT_SECRET_PREVIOUS", "auth.jwt_secret_previous"),
    ("JWT_SHORT_SECRET", "auth.jwt_short_secret"),
    ("JWT_PUBLIC_KEY", "auth.jwt_public_key"),
    ("JWT_JWKS", "auth.jwt_jwks"),
    ("JWT_ISSUER", "auth.jwt_issuer"),
    ("JWT_AUDIENCE", "auth.jwt_audience"),
    ("AUTH_COOKIES", "auth.cookies"),
    ("AUTH_COOKIE_SECRET", "auth.cookie_secret"),
    ("AUTH_QUERY", "auth.query"),
    ("HANDSHAKE", "auth.handshake"),
    ("API_KEYS", "auth.api_keys"),
    ("ACCOUNTS", "accounts.mode"),
    ("EVENT_AUDIENCE", "realtime.event_audience"),
    ("RECOVERY", "realtime.recovery"),
    ("PING_INTERVAL", "realtime.ping_interval"),
    ("PING_TIMEOUT", "realtime.ping_timeout"),
    ("DATABASE_URL", "database.url"),
    ("EVENT_RETENTION", "database.event_retention"),
    ("MESSAGE_RETENTION", "database.message_retention"),
    ("REDIS_URL", "cluster.redis_url"),
    ("REDIS_CA", "cluster.redis_ca"),
    ("PRESENCE_AUDIENCE", "presence.audience"),
    ("PRESENCE_GRACE", "presence.grace"),
    ("ROOM_POLICY", "rooms.policy"),
    ("PROXY_URL", "proxy.url"),
    ("PROXY_SECRET", "proxy.secret"),
    ("PROXY_EVENTS", "proxy.events"),
    ("PROXY_ROOMS", "proxy.rooms"),
    ("PROXY_TIMEOUT", "proxy.timeout"),
    ("WEBHOOK_URL", "webhooks.url"),
    ("WEBHOOK_SECRET", "webhooks.secret"),
    ("WEBHOOK_EVENTS", "webhooks.events"),
    ("LIMITS", "limits.enabled"),
    ("SHKEEPER_URL", "shkeeper.url"),
    ("SHKEEPER_API_KEY", "shkeeper.api_key"),
    ("SHKEEPER_USER", "shkeeper.user"),
    ("SHKEEPER_PASSWORD", "shkeeper.password"),
    ("LOG_LEVEL", "log.level"),
    ("LOG_FORMAT", "log.format"),
    ("STOA_NODE", "log.node"),
    ("METRICS_PORT", "metrics.port"),
    ("ADMIN_UI_USER", "admin_ui.user"),
    ("ADMIN_UI_HASH", "admin_ui.hash"),
];

/// Variables that are nobody's setting: by them the command line finds a running server.
pub(super) const OF_COMMANDS: &[&str] = &["STOA_URL", "STOA_TOKEN", "STOA_API_KEY"];

/// Variables of the contract that this build does not serve.
pub(super) const UNSERVED: &[&str] = &["OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Keys that `<NAME>_FILE` may read from a file, and whose values no message shows.
pub(super) const SECRETS: &[&str] = &[
    "admin_ui.hash",
    "auth.jwt_secret",
    "auth.jwt_secret_previous",
    "auth.jwt_public_key",
    "auth.cookie_secret",
    "auth.api_keys",
    "cluster.redis_url",
    "database.url",
    "proxy.secret",
    "shkeeper.api_key",
    "shkeeper.password",
    "webhooks.endpoints",
    "webhooks.secret",
];
