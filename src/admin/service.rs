//! What the operator's room knows of its node, and who is let into the console.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderName,
    header::{FORWARDED, HOST, ORIGIN, VIA},
};

use super::{
    developer::DeveloperLogin,
    documents::{Login, Operator, Status},
};
use crate::{
    auth::{OperatorCaller, SetupError},
    clock::{Clock, Timestamp},
    config::{Config, Environment},
    error::{Code, Error, Result},
    metrics,
    origin::{Origin, only},
    realtime::wire::Peer,
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
    developer: Option<DeveloperLogin>,
}

impl Admin {
    /// Of a node that starts now.
    ///
    /// # Errors
    /// When the secret that would sign a developer's token can't be used.
    pub fn new(
        config: &Config,
        metrics: metrics::Handle,
        clock: Clock,
    ) -> Result<Self, SetupError> {
        Ok(Self(Arc::new(Inner {
            developer: DeveloperLogin::new(config)?,
            started: clock.now(),
            environment: config.environment,
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
        }
    }

    /// Its metrics.
    pub(super) fn metrics(&self) -> &metrics::Handle {
        &self.0.metrics
    }

    /// The login, for a request that a browser or a tool of this machine made by itself: from a
    /// loopback address and no proxy, to a loopback name, for no page but our own.
    pub(super) fn login_for(
        &self,
        extensions: &http::Extensions,
        headers: &HeaderMap,
    ) -> Option<&DeveloperLogin> {
        let login = self.0.developer.as_ref().filter(|login| login.is_open())?;
        let peer = extensions.get::<Peer>()?.0.ip().to_canonical();
        let proxied = headers
            .keys()
            .any(|name| PROXIED.contains(name) || name.as_str().starts_with("x-forwarded"));
        let own = Origin::of_host("http", only(headers, &HOST)?)?;
        let from_here = !headers.contains_key(ORIGIN)
            || only(headers, &ORIGIN).is_some_and(|origin| origin.parse().as_ref() == Ok(&own));
        let local = peer.is_loopback() && !proxied && LOOPBACK.contains(&own.host()) && from_here;
        Some(login).filter(|_| local)
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
