//! Before anything else is done for a request: who calls, and whether they ask too fast. Neither its
//! body nor the store has been touched.

use std::{hash::Hash, net::IpAddr, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::Method;
use ipnet::IpNet;
use tracing::Span;

use crate::{
    auth::{ActingDoor, Authenticated, Authenticator, CredentialKind, Credentials, Role},
    config::Config,
    error::{Error, Result},
    id::Id,
    limits::{CallerClass, CallerRates, network},
    metrics,
    realtime::wire::Peer,
    rest::{body::Recheck, client_address::client_address},
};

/// Who asks these often must hear: an orchestrator ends what does not answer. They cost nothing.
const PROBES: [&str; 2] = ["/livez", "/readyz"];

/// Lets requests in. Cheap to clone.
#[derive(Clone)]
pub(super) struct Admission {
    authenticator: Authenticator,
    rates: CallerRates,
    trusted_proxies: Arc<[IpNet]>,
}

impl Admission {
    /// As configured; the rates are shared with the sockets.
    pub(super) fn new(config: &Config, authenticator: Authenticator, rates: CallerRates) -> Self {
        Self {
            authenticator,
            rates,
            trusted_proxies: config.server.trusted_proxies.as_slice().into(),
        }
    }

    async fn admit(&self, request: &mut Request) -> Result<()> {
        let path = request.uri().path();
        if PROBES.contains(&path) {
            return Ok(());
        }
        // Outside of the API nobody asks who calls.
        let authenticated = if path.starts_with("/api/") {
            let (method, headers) = (request.method(), request.headers());
            Some(self.authenticator.authenticate(method, path, headers).await)
        } else {
            None
        };
        let mut recheck = None;
        let mut door = None;
        if let Some(credentials) = authenticated.as_ref().and_then(Authenticated::shown) {
            let class = match (credentials.identity.operates(), request.method().is_safe()) {
                (true, _) => CallerClass::Operator,
                (false, true) => CallerClass::Read,
                (false, false) if sends_a_message(request) => CallerClass::Message,
                (false, false) => CallerClass::Write,
            };
            let by = if credentials.identity.has(Role::Service) { "service" } else { "user" };
            Span::current().record(by, credentials.identity.user_id.as_str());
            self.take(class, &credentials.caller())?;
            let acting = authenticated.as_ref().and_then(Authenticated::valid);
            let user = acting.filter(|acting| acting.service().is_some());
            let user = user.map(|acting| acting.identity.user_id.clone());
            if credentials.identity.has(Role::Service) {
                let acts = self.acting_door();
                user.as_ref().map_or(Ok(()), |user| acts.ask(user))?;
                door = Some(acts);
            }
            recheck = self.recheck(credentials, user);
        } else {
            // Valid credentials are never counted here, so nobody at the same address, as behind a
            // NAT, can keep others out.
            self.take(CallerClass::Stranger, &network(self.address(request)?))?;
        }
        if let Some(authenticated) = authenticated {
            if let Some(reason) = authenticated.refusal() {
                metrics::credentials_refused(reason).increment(1);
            }
            request.extensions_mut().insert(authenticated);
        }
        if let Some(recheck) = recheck {
            request.extensions_mut().insert(recheck);
        }
        if let Some(door) = door {
            request.extensions_mut().insert(door);
        }
        Ok(())
    }

    /// What is asked when a service acts for a user: a bucket of that user's, from which nobody else
    /// takes. The log names them, too.
    fn acting_door(&self) -> ActingDoor {
        let (admission, span) = (self.clone(), Span::current());
        ActingDoor::new(move |user| {
            span.record("user", user.as_str());
            admission.take(CallerClass::Acting, user)
        })
    }

    /// What is asked again when the body is here, and while an answer goes on: whether who showed a token, and for whom they act, may
    /// still be heard.
    fn recheck(&self, shown: &Credentials, user: Option<Id>) -> Option<Recheck> {
        let shown = Some(shown).filter(|shown| shown.kind == CredentialKind::Token);
        let shown = shown.map(|shown| shown.identity.clone());
        if shown.is_none() && user.is_none() {
            return None;
        }
        let revocations = self.authenticator.verifier().revocations().clone();
        Some(Recheck::new(move || {
            shown.as_ref().map_or(Ok(()), |shown| revocations.check(shown))?;
            user.as_ref().map_or(Ok(()), |user| Ok(revocations.check_acted_for(user)?))
        }))
    }

    fn address(&self, request: &Request) -> Result<IpAddr> {
        let peer = request.extensions().get::<Peer>().map(|Peer(peer)| peer.ip());
        let peer = peer.ok_or_else(|| Error::internal("a request without a peer"))?;
        Ok(client_address(peer, request.headers(), &self.trusted_proxies))
    }

    fn take(&self, class: CallerClass, caller: &impl Hash) -> Result<()> {
        self.rates.take(class, caller).inspect_err(|_| {
            metrics::requests_limited(class.as_str()).increment(1);
        })
    }
}

/// Whether a request that changes something is what `message:send` is, too.
fn sends_a_message(request: &Request) -> bool {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    request.method() == Method::POST && path == Some("/api/conversations/{id}/messages")
}

/// Middleware around everything that REST answers.
pub(super) async fn layer(
    State(admission): State<Admission>,
    mut request: Request,
    next: Next,
) -> Response {
    match admission.admit(&mut request).await {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}
