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

use crate::{
    auth::{Authenticated, Authenticator, CredentialKind},
    config::Config,
    error::{Error, Result},
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
            Some(self.authenticator.authenticate(method, headers).await)
        } else {
            None
        };
        let mut recheck = None;
        if let Some(credentials) = authenticated.as_ref().and_then(Authenticated::valid) {
            let class = match (credentials.identity.operates(), request.method().is_safe()) {
                (true, _) => CallerClass::Operator,
                (false, true) => CallerClass::Read,
                (false, false) if sends_a_message(request) => CallerClass::Message,
                (false, false) => CallerClass::Write,
            };
            self.take(class, &credentials.caller())?;
            if credentials.kind == CredentialKind::Token && !request.method().is_safe() {
                let revocations = self.authenticator.verifier().revocations().clone();
                let identity = credentials.identity.clone();
                recheck = Some(Recheck::new(move || Ok(revocations.check(&identity)?)));
            }
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
        Ok(())
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
