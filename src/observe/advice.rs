//! What has to be configured or changed before the move.

use std::{fmt, slice, time::Duration};

use serde::Serialize;

use super::{
    copies::Side,
    shapes::{Difference, Kind},
    tally::{Heartbeat, Tally, Tokens},
    tokens::{NO_KEY, Place},
};
use crate::{
    config::{AuthConfig, Config, Handshake},
    event::Namespace,
};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToDo {
    /// The setting that does it; none where an app or a backend is to be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// What was observed.
    pub why: String,
}

impl fmt::Display for ToDo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.setting {
            Some(setting) => write!(f, "{setting}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

/// Knows what this server is configured to do.
pub(super) struct Advice {
    auth: AuthConfig,
    max_payload: usize,
    heartbeat: (Duration, Duration),
    /// Whether a backend answers events, and which.
    proxy: (bool, Vec<String>),
}

/// What is to be done, as it is found.
#[derive(Default)]
struct Found(Vec<ToDo>);

impl Found {
    fn set(&mut self, setting: impl Into<String>, why: String) {
        self.0.push(ToDo { setting: Some(setting.into()), why });
    }

    fn change(&mut self, why: String) {
        self.0.push(ToDo { setting: None, why });
    }
}

impl Advice {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            auth: config.auth.clone(),
            max_payload: config.server.max_payload_bytes,
            heartbeat: (config.realtime.ping_interval, config.realtime.ping_timeout),
            proxy: (config.proxy.url.is_some(), config.proxy.events.clone()),
        }
    }

    /// Settings first, then what no setting helps with.
    pub(super) fn to_do(&self, tally: &Tally) -> Vec<ToDo> {
        let mut found = Found::default();
        self.tokens(&tally.tokens, &mut found);
        self.settings(tally, &mut found);
        self.client_events(tally, &mut found);
        server_events(tally, &mut found);
        transports(tally, &mut found);
        let (settings, changes): (Vec<_>, Vec<_>) =
            found.0.into_iter().partition(|one| one.setting.is_some());
        settings.into_iter().chain(changes).collect()
    }

    fn tokens(&self, tokens: &Tokens, found: &mut Found) {
        for (place, verdicts) in &tokens.read {
            for (reason, count) in &verdicts.refused {
                let why =
                    format!("{count} sockets show a token by {place} that is refused: {reason}");
                match reason.as_str() {
                    NO_KEY | "invalid signature" | "invalid algorithm" => {
                        found.set("JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS", why);
                    }
                    reason if reason.starts_with("jwt audience") => found.set("JWT_AUDIENCE", why),
                    reason if reason.starts_with("jwt issuer") => found.set("JWT_ISSUER", why),
                    _ => found.change(why),
                }
            }
        }
        for (place, [no, yes]) in &tokens.unread {
            let why = format!("{} sockets show a token by {place}, which is not read", no + yes);
            match place {
                Place::Cookie(name) => {
                    let cookies = [&self.auth.cookies[..], slice::from_ref(name)].concat();
                    found.set(format!("AUTH_COOKIES={}", cookies.join(",")), why);
                }
                Place::SignedCookie(_) => found.set("AUTH_COOKIE_SECRET", why),
                Place::Query(name) => found.set(format!("AUTH_QUERY={name}"), why),
                Place::Auth(_) | Place::Header(_) | Place::Bearer => found.change(why),
            }
            if *no > 0 {
                let why = format!("{no} of these tokens are taken by no key that is configured");
                found.set("JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS", why);
            }
        }
        if tokens.none > 0 && self.auth.handshake == Handshake::Required {
            let why = format!("{} sockets show no token", tokens.none);
            found.set("HANDSHAKE=trusting", why);
        }
    }

    fn settings(&self, tally: &Tally, found: &mut Found) {
        for (origin, count) in &tally.origins.named {
            let why = format!("{count} sessions are of its pages, which are refused");
            found.set(format!("CLIENT_URL or FRONTEND_URL with {origin}"), why);
        }
        let largest = tally.sizes(Side::Client).largest;
        if largest > self.max_payload {
            let why = format!("a client's packet has {largest} bytes");
            found.set("MAX_PAYLOAD", why);
        }
        if tally.too_long > 0 {
            let why = format!("{} messages or bodies are too long to be read here", tally.too_long);
            found.set("MAX_PAYLOAD", why);
        }
        if let Some(Heartbeat { interval, timeout }) = tally.heartbeat {
            let own = self.heartbeat;
            let theirs = [interval, timeout].map(Duration::from_millis);
            if theirs[0] != own.0 {
                let why = "the interval of the server that runs today".to_owned();
                found.set(format!("PING_INTERVAL={interval}ms"), why);
            }
            if theirs[1] != own.1 {
                let why = "the timeout of the server that runs today".to_owned();
                found.set(format!("PING_TIMEOUT={timeout}ms"), why);
            }
        }
    }

    fn client_events(&self, tally: &Tally, found: &mut Found) {
        let (known, unknown): (Vec<_>, Vec<_>) =
            tally.heard.named.iter().partition(|(_, event)| event.is_known);
        if !unknown.is_empty() {
            let (has_url, configured) = &self.proxy;
            let names = configured.iter().chain(unknown.iter().map(|(name, _)| *name));
            let names: Vec<_> = names.map(String::as_str).collect();
            let url = if *has_url { "" } else { "PROXY_URL and " };
            let why =
                "clients say what nobody hears here, until the event proxy is configured for it";
            found.set(format!("{url}PROXY_EVENTS={}", names.join(",")), why.to_owned());
        }
        for (name, event) in known {
            for (difference, count) in &event.differences {
                let what = told(difference);
                found.change(format!("clients say {name} and are refused, {count} times: {what}"));
            }
            for (difference, count) in event.answers.iter().filter(|(one, _)| is_missed(one)) {
                let what = told(difference);
                found.change(format!(
                    "the acknowledgement of {name} differs, {count} times: {what}"
                ));
            }
        }
    }
}

fn server_events(tally: &Tally, found: &mut Found) {
    for (name, event) in &tally.sent.named {
        if !event.is_known {
            let count = event.count;
            found.change(format!(
                "the server says {name}, {count} times, which is none of the catalogue: a backend \
                 says it with POST /api/emit"
            ));
        }
        if event.asked > 0 {
            let count = event.asked;
            found.change(format!("the server wants {name} acknowledged, {count} times"));
        }
        for (difference, count) in event.differences.iter().filter(|(one, _)| is_missed(one)) {
            let what = told(difference);
            found.change(format!("the server says {name} otherwise, {count} times: {what}"));
        }
    }
}

fn transports(tally: &Tally, found: &mut Found) {
    for (namespace, sockets) in &tally.namespaces.named {
        if Namespace::from_path(namespace).is_none() {
            let count = sockets.connected;
            found.change(format!(
                "{count} sockets are in {namespace}, a namespace that is not here"
            ));
        }
    }
    for (path, count) in &tally.paths.named {
        found.change(format!(
            "{count} sessions are opened at {path}, and here at /socket.io/ alone"
        ));
    }
    if tally.transports.jsonp > 0 {
        let count = tally.transports.jsonp;
        found.change(format!("{count} sessions ask for JSONP, which is not spoken here"));
    }
    if tally.unreadable > 0 {
        let count = tally.unreadable;
        found.change(format!(
            "{count} packets or connections could not be read: another parser of Socket.IO, or \
             another protocol, is not spoken here"
        ));
    }
    if tally.lost > 0 {
        let count = tally.lost;
        found.change(format!(
            "{count} connections were not read to their end, for want of time: observe again"
        ));
    }
}

/// Whether an app could miss it: what it gets besides it can leave alone.
fn is_missed(difference: &Difference) -> bool {
    difference.kind != Kind::Missing
}

fn told(difference: &Difference) -> String {
    let Difference { kind, field, expected, found } = difference;
    let field = if field.is_empty() { "the payload" } else { field };
    let expected = expected.as_deref().unwrap_or("nothing");
    let found = found.unwrap_or("nothing");
    match kind {
        Kind::Missing => format!("{field} ({expected}) is missing"),
        Kind::Further => format!("{field} ({found}) is not in the catalogue"),
        Kind::Type => format!("{field} is {found}, in the catalogue {expected}"),
        Kind::Value => format!("{field} has a value ({found}) that is not in the catalogue"),
    }
}
