//! Which web pages may talk to us with credentials: CORS for REST, and the same policy for the
//! Socket.IO door, where browsers do not ask before they open a websocket.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, RETRY_AFTER,
        VARY,
    },
};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::request_id::X_REQUEST_ID;
use crate::error::{Code, Error};

/// How long a browser may remember a preflight.
const MAX_AGE: Duration = Duration::from_mins(10);

/// The origins that may connect with credentials. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OriginPolicy(Arc<[Origin]>);

/// An origin (RFC 6454), with its default port spelt out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// A configured origin that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an origin; it has a scheme, a host and perhaps a port: https://app.example.com"
)]
pub struct InvalidOrigin(pub String);

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        bare.then(|| Self::new(uri.scheme_str().unwrap_or_default(), authority.as_str()))?
    }

    fn new(scheme: &str, authority: &str) -> Option<Self> {
        let authority: http::uri::Authority = authority.parse().ok()?;
        let scheme = scheme.to_ascii_lowercase();
        let default = match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        let port = authority.port_u16().or(default);
        Some(Self { host: authority.host().to_ascii_lowercase(), port, scheme })
            .filter(|origin| !origin.scheme.is_empty())
    }
}

impl OriginPolicy {
    /// Takes the configured origins.
    ///
    /// # Errors
    /// [`InvalidOrigin`] for the first that is none.
    pub fn new<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidOrigin> {
        let parse = |text: &str| Origin::parse(text).ok_or_else(|| InvalidOrigin(text.to_owned()));
        origins.into_iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a request may come from where it says it comes from: one of the allowed origins, the
    /// page's own host, or no page at all.
    #[must_use]
    pub fn allows(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return true };
        let origin = origin.to_str().ok().and_then(Origin::parse);
        let (Some(origin), None) = (origin, origins.next()) else { return false };
        self.0.contains(&origin) || same_host(&origin, headers)
    }

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
    pub fn preflight(&self, headers: &HeaderMap) -> Response {
        if !self.allows(headers) {
            return foreign().into_response();
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
            .allow_origin(AllowOrigin::predicate(move |_, request| policy.allows(&request.headers)))
            .allow_credentials(true)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers([
                AUTHORIZATION,
                CONTENT_TYPE,
                X_REQUEST_ID,
                named("idempotency-key"),
                named("x-api-key"),
                named("traceparent"),
            ])
            .expose_headers([X_REQUEST_ID, RETRY_AFTER, named("idempotency-replayed")])
            .max_age(MAX_AGE)
    }
}

/// A page served from where it calls is no stranger. Behind a proxy that ends TLS we do not know
/// our own scheme, so the origin's counts for both.
fn same_host(origin: &Origin, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.and_then(|host| Origin::new(&origin.scheme, host)).as_ref() == Some(origin)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> OriginPolicy {
        OriginPolicy::new(["https://App.example.com", "http://localhost:5175/"]).unwrap()
    }

    fn from(origin: &str) -> HeaderMap {
        HeaderMap::from_iter([
            (ORIGIN, origin.parse().unwrap()),
            (HOST, HeaderValue::from_static("rt.example.com:443")),
        ])
    }

    #[test]
    fn allowed_origins_match_whatever_their_case_and_default_port() {
        for origin in [
            "https://app.example.com",
            "HTTPS://APP.EXAMPLE.COM:443",
            "http://localhost:5175",
            "https://rt.example.com",
        ] {
            assert!(policy().allows(&from(origin)), "{origin}");
        }
        assert!(policy().allows(&HeaderMap::new()), "a request of no page");
    }

    #[test]
    fn other_origins_are_refused() {
        for origin in [
            "null",
            "",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
            "https://evil.example/https://app.example.com",
            "https://app.example.com@evil.example",
            "http://localhost",
            "http://rt.example.com",
            "https://*",
        ] {
            assert!(!policy().allows(&from(origin)), "{origin}");
        }
        let mut two = from("https://app.example.com");
        two.append(ORIGIN, HeaderValue::from_static("https://evil.example"));
        assert!(!policy().allows(&two), "two origins");
    }

    #[test]
    fn a_configured_origin_must_be_one() {
        for bad in ["*", "app.example.com", "https://a/b", "https://a?b", ""] {
            assert_eq!(OriginPolicy::new([bad]).unwrap_err(), InvalidOrigin(bad.to_owned()));
        }
        assert!(OriginPolicy::new(["capacitor://localhost"]).is_ok());
    }

    #[test]
    fn a_polling_preflight_grants_what_an_allowed_page_asks() {
        let mut asks = from("https://app.example.com");
        let granted = policy().preflight(&asks);
        assert_eq!(granted.status(), StatusCode::NO_CONTENT);
        let header = |name| granted.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header(ACCESS_CONTROL_ALLOW_ORIGIN), "https://app.example.com");
        assert_eq!(header(ACCESS_CONTROL_ALLOW_CREDENTIALS), "true");
        assert_eq!(header(ACCESS_CONTROL_ALLOW_METHODS), "GET,POST");
        assert_eq!(header(ACCESS_CONTROL_ALLOW_HEADERS), "content-type,authorization");
        assert_eq!(header(VARY), "origin");

        asks.insert(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("x-my-app"));
        let granted = policy().preflight(&asks);
        assert_eq!(granted.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "x-my-app");

        let refused = policy().preflight(&from("https://evil.example"));
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert!(!refused.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}
