//! What the operator's room knows of its node, and who is let into the console.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderName,
    header::{FORWARDED, HOST, ORIGIN, VIA},
};
use serde_json::value::RawValue;

use super::{
    developer::DeveloperLogin,
    documents::{History as Told, Login, NodeList, NodeState, Operator, Playground, Status},
    history::History,
    nodes::{self, Others},
    playground,
};
use crate::{
    auth::{Minter, OperatorCaller, SetupError},
    clock::{Clock, Timestamp},
    cluster::Cluster,
    config::{Config, Environment, Handshake, RoomPolicy},
    error::{Code, Error, Result},
    metrics,
    origin::{Origin, only},
    realtime::wire::Peer,
    rest::health::Readiness,
};

/// Names by which a browser knows its own machine. A page elsewhere can have its own name point
/// here (DNS rebinding), but not one of these.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What a proxy adds, beside `X-Forwarded-…`: then the peer is the proxy, and the caller may be
/// anyone. One that adds nothing is why there is a code.
const PROXIED: [HeaderName; 6] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("cf-connecting-ip"),
];

/// What the operator's room knows of this node. Cheap to clone.
#[derive(Clone)]
pub struct Admin(Arc<Inner>);

struct Inner {
    clock: Clock,
    started: Timestamp,
    environment: Environment,
    metrics: metrics::Handle,
    history: History,
    developer: Option<DeveloperLogin>,
    playground: Option<Minter>,
    about: Vec<(&'static str, &'static str)>,
    name: Option<String>,
    others: Others,
}

impl Admin {
    /// Of a node that starts now.
    ///
    /// # Errors
    /// When the secret that would sign a developer's token can't be used.
    pub fn new(
        config: &Config,
        metrics: metrics::Handle,
        readiness: Readiness,
        cluster: Option<Cluster>,
        clock: Clock,
    ) -> Result<Self, SetupError> {
        Ok(Self(Arc::new(Inner {
            developer: DeveloperLogin::new(config)?,
            playground: playground::minter(config).transpose()?,
            about: about(config),
            name: config.log.node.clone(),
            others: Others::new(cluster),
            started: clock.now(),
            environment: config.environment,
            history: History::new(metrics.clone(), readiness, clock.clone()),
            clock,
            metrics,
        })))
    }

    /// The code that lets a developer into the console, once; none where nobody is a developer.
    #[must_use]
    pub fn login_code(&self) -> Option<&str> {
        self.0.developer.as_ref().map(DeveloperLogin::code)
    }

    /// How it does, for who asks.
    pub(super) fn status(&self, operator: &OperatorCaller) -> Status {
        let uptime = self.0.started.until(self.0.clock.now());
        Status {
            version: env!("CARGO_PKG_VERSION"),
            uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
            environment: self.0.environment,
            caller: Operator {
                user_id: operator.identity.user_id.clone(),
                roles: operator.identity.roles,
            },
            troubles: self.0.history.troubles(),
        }
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// This node and the others, each as it says of itself.
    pub(super) async fn nodes(&self) -> NodeList {
        self.0.others.with(self.node()).await
    }

    /// The answer to another node, where that asks how this one does.
    #[must_use]
    pub fn answer(&self, question: &RawValue) -> Option<Box<RawValue>> {
        nodes::answer(question, || self.node())
    }

    fn node(&self) -> NodeState {
        let (sockets, lag) = self.0.history.now();
        NodeState {
            name: self.0.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: self.0.started,
            sockets,
            lag_ms: lag.map(|seconds| seconds * 1000.0),
        }
    }

    /// Goes on reading the figures of the last hour, for ever.
    pub async fn keep_history(self) {
        self.0.history.clone().keep_up().await;
    }

    /// Reads them once.
    #[cfg(test)]
    pub(super) fn read_figures(&self) {
        self.0.history.read();
    }

    /// What was read after that moment; the last hour without one.
    pub(super) fn history(&self, after: Option<Timestamp>) -> Told {
        self.0.history.since(after)
    }

    /// Its metrics.
    pub(super) fn metrics(&self) -> &metrics::Handle {
        &self.0.metrics
    }

    /// The login, for a request that a browser or a tool of this machine made by itself.
    pub(super) fn login_for(
        &self,
        extensions: &http::Extensions,
        headers: &HeaderMap,
    ) -> Option<&DeveloperLogin> {
        let login = self.0.developer.as_ref().filter(|login| login.is_open())?;
        is_local(extensions, headers).then_some(login)
    }

    /// Whether a request is made so where there is a playground.
    pub(super) fn may_play(&self, extensions: &http::Extensions, headers: &HeaderMap) -> bool {
        self.0.playground.is_some() && is_local(extensions, headers)
    }

    /// The playground, for whom [`Admin::may_play`].
    ///
    /// # Errors
    /// [`Code::NotFound`] where there is none.
    pub(super) fn playground(&self) -> Result<Playground> {
        let minter = self.0.playground.as_ref();
        let minter = minter.ok_or_else(|| Error::new(Code::NotFound, "There is nothing here."))?;
        playground::open(minter, self.0.clock.now())
    }

    /// What runs here, in words, for developers: none in production.
    pub(super) fn about(&self) -> Option<&[(&'static str, &'static str)]> {
        (self.0.environment == Environment::Development).then_some(&self.0.about)
    }

    /// Lets a developer in who knows the code, for whom [`Admin::login_for`] is there.
    ///
    /// # Errors
    /// [`Code::Forbidden`] when it is another.
    pub(super) fn sign_in(&self, login: &DeveloperLogin, code: &str) -> Result<Login> {
        if !login.spend(code) {
            let sentence = "This is not the code that the server printed.";
            return Err(Error::new(Code::Forbidden, sentence));
        }
        tracing::info!("a developer signed in to the console");
        login.mint(self.0.clock.now())
    }
}

/// Whether a request came from a loopback address and no proxy, to a loopback name, from no page but
/// our own.
fn is_local(extensions: &http::Extensions, headers: &HeaderMap) -> bool {
    let Some(Peer(peer)) = extensions.get::<Peer>() else { return false };
    let proxied = headers
        .keys()
        .any(|name| PROXIED.contains(name) || name.as_str().starts_with("x-forwarded"));
    let Some(own) = only(headers, &HOST).and_then(|host| Origin::of_host("http", host)) else {
        return false;
    };
    let from_here = !headers.contains_key(ORIGIN)
        || only(headers, &ORIGIN).is_some_and(|origin| origin.parse().as_ref() == Ok(&own));
    let is_here = peer.ip().to_canonical().is_loopback();
    is_here && !proxied && LOOPBACK.contains(&own.host()) && from_here
}

/// The settings that a developer asks about first.
fn about(config: &Config) -> Vec<(&'static str, &'static str)> {
    let store = if config.database.is_shared() { "Postgres" } else { "SQLite, in the data folder" };
    let accounts = if config.has_accounts() {
        "on: people sign up with POST /api/auth/register"
    } else {
        "off: tokens come from your app, or from stoa token"
    };
    let handshake = match config.auth.handshake {
        Handshake::Required => "a token is required",
        Handshake::Trusting => "trusting: sockets without a token say who they are",
    };
    let rooms = match config.rooms.policy {
        RoomPolicy::Strict => "strict: who has a right to a room enters it",
        RoomPolicy::Open => "open: rooms that are not known here are everyone's",
    };
    let mut about = vec![
        ("Version", env!("CARGO_PKG_VERSION")),
        ("Store", store),
        ("Handshake", handshake),
        ("Rooms", rooms),
        ("Accounts", accounts),
    ];
    if config.cluster.redis_url.is_some() {
        about.push(("Nodes", "joined by Redis"));
    }
    about
}
