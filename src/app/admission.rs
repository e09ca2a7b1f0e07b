//! Before anything else is done for a request: who calls, and whether they ask too fast. Neither its
//! body nor the store has been touched.

use std::{hash::Hash, net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use ipnet::IpNet;

use crate::{
    auth::{Authenticated, Authenticator},
    config::Config,
    error::{Error, Result},
    http::client_address::client_address,
    limits::{RestClass, RestRates, network},
    metrics,
    realtime::wire::Peer,
};

/// Who asks these often must hear: an orchestrator ends what does not answer. They cost nothing.
const PROBES: [&str; 2] = ["/livez", "/readyz"];

/// Lets requests in. Cheap to clone.
#[derive(Clone)]
pub(super) struct Admission {
    authenticator: Authenticator,
    rates: RestRates,
    trusted_proxies: Arc<[IpNet]>,
}

impl Admission {
    /// As configured.
    pub(super) fn new(config: &Config, authenticator: Authenticator) -> Self {
        Self {
            authenticator,
            rates: RestRates::new(&config.limits),
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
        if let Some(credentials) = authenticated.as_ref().and_then(Authenticated::valid) {
            let class = match (credentials.identity.operates(), request.method().is_safe()) {
                (true, _) => RestClass::Operator,
                (false, true) => RestClass::Read,
                (false, false) => RestClass::Write,
            };
            self.take(class, &credentials.caller())?;
        } else {
            // Valid credentials are never counted here, so nobody at the same address, as behind a
            // NAT, can keep others out.
            self.take(RestClass::Stranger, &network(self.address(request)?))?;
        }
        if let Some(authenticated) = authenticated {
            request.extensions_mut().insert(authenticated);
        }
        Ok(())
    }

    fn address(&self, request: &Request) -> Result<IpAddr> {
        let peer = request.extensions().get::<Peer>().map(|Peer(peer)| peer.ip());
        let peer = peer.ok_or_else(|| Error::internal("a request without a peer"))?;
        Ok(client_address(peer, request.headers(), &self.trusted_proxies))
    }

    fn take(&self, class: RestClass, caller: &impl Hash) -> Result<()> {
        self.rates.take(class, caller).inspect_err(|_| {
            metrics::requests_limited(class.as_str()).increment(1);
        })
    }
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
