//! What tells browsers which pages may call: CORS for REST and for the polling transport.

use std::{net::IpAddr, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, AUTHORIZATION, CONTENT_TYPE, ORIGIN, RETRY_AFTER, VARY,
    },
};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{client_address::ClientAddress, request_id::X_REQUEST_ID};
use crate::{
    error::{Code, Error},
    log_limit,
    origin::OriginPolicy,
};

/// How long a browser may remember a preflight.
const MAX_AGE: Duration = Duration::from_mins(10);

impl OriginPolicy {
    /// Adds what lets a page read a polling answer with credentials. `origin` is the request's, to
    /// which [`OriginPolicy::allows`] said yes.
    pub fn apply(origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        // A cache between must not give one page's answer to another.
        answer.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    /// The answer to `OPTIONS` on the polling transport: 204, or 403 for another page. The headers
    /// that an allowed page asks for are granted, as the Node servers do: apps send their own.
    #[must_use]
    pub fn preflight(&self, headers: &HeaderMap, address: Option<IpAddr>) -> Response {
        if !self.allows(headers) {
            return refused(headers, address).into_response();
        }
        let mut response = StatusCode::NO_CONTENT.into_response();
        let answer = response.headers_mut();
        Self::apply(headers.get(ORIGIN), answer);
        let asked = headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        let usual = || HeaderValue::from_static("content-type,authorization");
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or_else(usual));
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,POST"));
        answer.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE.as_secs().into());
        response
    }

    /// CORS for REST.
    pub fn layer(&self) -> CorsLayer {
        let policy = self.clone();
        let named = |name| HeaderName::from_static(name);
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(move |_, request| {
                let allowed = policy.allows(&request.headers);
                if !allowed {
                    let address = request.extensions.get().map(|ClientAddress(by)| *by);
                    warn_of(&request.headers, address);
                }
                allowed
            }))
            .allow_credentials(true)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers([
                AUTHORIZATION,
                CONTENT_TYPE,
                X_REQUEST_ID,
                named("idempotency-key"),
                named("x-api-key"),
                named("x-act-as"),
                named("x-act-as-roles"),
                named("traceparent"),
            ])
            .expose_headers([X_REQUEST_ID, RETRY_AFTER, named("idempotency-replayed")])
            .max_age(MAX_AGE)
    }
}

/// Middleware: refuses what a page of another origin asks us to change. CORS alone would only keep
/// the answer from it, and a cookie would have named the user (cross-site request forgery).
pub async fn refuse_foreign(
    State(policy): State<OriginPolicy>,
    request: Request,
    next: Next,
) -> Response {
    if request.method().is_safe() || policy.allows(request.headers()) {
        next.run(request).await
    } else {
        foreign().into_response()
    }
}

fn foreign() -> Error {
    Error::new(Code::Forbidden, "This origin may not call this server.")
}

/// What a page of another origin is told at the Socket.IO door; the operator is told, too.
pub(crate) fn refused(headers: &HeaderMap, address: Option<IpAddr>) -> Error {
    warn_of(headers, address);
    foreign()
}

/// Tells the operator of a page that may not call: its browser says no more than "CORS". Anyone can
/// make origins up: of one address a few are told.
fn warn_of(headers: &HeaderMap, address: Option<IpAddr>) {
    const SHOWN: usize = 100;
    let origin = headers.get(ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()));
    let origin: String = origin.unwrap_or_default().chars().take(SHOWN).collect();
    if let Some(left_out) = log_limit::admit("origin", address, &origin) {
        tracing::warn!(
            ?origin,
            left_out,
            "a page of this origin was refused; if it is one of your apps, name it in CLIENT_URL or \
             FRONTEND_URL"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> OriginPolicy {
        OriginPolicy::new(["https://app.example.com"], false).unwrap()
    }

    fn from(origin: &str) -> HeaderMap {
        HeaderMap::from_iter([(ORIGIN, origin.parse().unwrap())])
    }

    #[test]
    fn a_polling_preflight_grants_what_an_allowed_page_asks() {
        let mut asks = from("https://app.example.com");
        let granted = policy().preflight(&asks, None);
        assert_eq!(granted.status(), StatusCode::NO_CONTENT);
        let header = |name| granted.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header(ACCESS_CONTROL_ALLOW_ORIGIN), "https://app.example.com");
        assert_eq!(header(ACCESS_CONTROL_ALLOW_CREDENTIALS), "true");
        assert_eq!(header(ACCESS_CONTROL_ALLOW_METHODS), "GET,POST");
        assert_eq!(header(ACCESS_CONTROL_ALLOW_HEADERS), "content-type,authorization");
        assert_eq!(header(VARY), "origin");

        asks.insert(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("x-my-app"));
        let granted = policy().preflight(&asks, None);
        assert_eq!(granted.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "x-my-app");

        let refused = policy().preflight(&from("https://evil.example"), None);
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert!(!refused.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}
