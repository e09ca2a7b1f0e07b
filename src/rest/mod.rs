//! How REST answers: one shape of failure, one way to read a request, names for requests, and who
//! may call from where. The roof wraps its routes in [`layers`].

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state, map_response},
    response::Response,
};
use http::{
    HeaderName, HeaderValue,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer, timeout::RequestBodyDeadlineLayer,
    trace::TraceLayer,
};
use tracing::Span;

use crate::{config::ServerConfig, origin::OriginPolicy};

pub mod body;
pub mod client_address;
pub mod cors;
pub mod failures;
mod faults;
pub mod fields;
pub mod health;
pub mod json;
pub mod list;
pub mod log;
mod objects;
pub mod openapi;
pub mod parameters;
pub mod problem;
mod read;
pub mod request_id;
pub mod unread;
mod words;

/// What [`layers`] needs to know.
#[derive(Clone, Debug)]
pub struct Layers {
    /// Which pages may call with credentials.
    pub origins: OriginPolicy,
    /// Bytes of one body.
    pub max_payload_bytes: usize,
    /// Until a body is complete.
    pub body_timeout: std::time::Duration,
    /// From when on an answer that is no failure is told at info, too.
    pub slow_request: std::time::Duration,
    /// Whose word on the caller's address is believed.
    pub trusted_proxies: std::sync::Arc<[ipnet::IpNet]>,
}

impl Layers {
    /// As configured.
    #[must_use]
    pub fn new(
        config: &ServerConfig,
        slow_request: std::time::Duration,
        origins: OriginPolicy,
    ) -> Self {
        Self {
            origins,
            max_payload_bytes: config.max_payload_bytes,
            body_timeout: config.body_timeout,
            slow_request,
            trusted_proxies: config.trusted_proxies.as_slice().into(),
        }
    }
}

/// Wraps every route of `router`, and its fallback, in what REST promises. Routes added later, such
/// as the Socket.IO service, stay outside.
pub fn layers<S: Clone + Send + Sync + 'static>(router: Router<S>, with: Layers) -> Router<S> {
    let trace = TraceLayer::new_for_http()
        .make_span_with(request_id::span)
        .on_request(())
        .on_response(move |response: &Response, latency, span: &Span| {
            request_id::answered(response, latency, span, with.slow_request);
        })
        // `problem` tells of failures.
        .on_failure(());
    // From the outside in: a layer sees what the ones below it answer.
    let stack = ServiceBuilder::new()
        .layer(from_fn(request_id::layer))
        .layer(trace)
        .layer(from_fn_with_state(with.trusted_proxies, client_address::layer))
        .layer(map_response(secure))
        .layer(with.origins.layer())
        .layer(from_fn(problem::layer))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn_with_state(with.origins, cors::refuse_foreign))
        .layer(RequestBodyDeadlineLayer::new(with.body_timeout))
        .layer(RequestBodyLimitLayer::new(with.max_payload_bytes))
        .layer(DefaultBodyLimit::disable());
    router.layer(stack)
}

/// Headers that keep browsers from guessing, framing, leaking and storing. A page that needs more
/// says so itself.
async fn secure(mut response: Response) -> Response {
    const DEFAULTS: [(HeaderName, &str); 4] = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in DEFAULTS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests;
