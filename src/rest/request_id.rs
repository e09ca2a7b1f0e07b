//! The name of a request: `X-Request-Id` is taken or made and returned, `traceparent` is honoured
//! (docs/contract/rest.md#conventions), and the span in which the request's log lines stand.

use std::{fmt, sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tracing::{Span, field::Empty};

use super::client_address::ClientAddress;
use crate::{id::Ids, log_limit};

/// `X-Request-Id`
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names one request, in its answer and in the log; an extension of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The caller's, when it is 1–128 characters from `[A-Za-z0-9_.:-]`; else a new one.
    pub(super) fn take_or_make(headers: &HeaderMap, ids: Ids) -> Self {
        let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
        match given {
            Some(id) if (1..=128).contains(&id.len()) && id.bytes().all(allowed) => Self(id.into()),
            _ => Self(ids.next().to_string().into()),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Middleware: gives the request its id and returns it.
pub async fn layer(mut request: Request, next: Next) -> Response {
    let id = RequestId::take_or_make(request.headers(), Ids);
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

/// What is asked every few seconds, by clients that poll and by orchestrators, would drown the rest:
/// told at debug.
const QUIET: [&str; 4] = ["/socket.io", "/livez", "/readyz", "/metrics"];

/// What an operator's page reads every few seconds, and what is open to everyone: told at debug, too.
/// Changes to it are not.
const READ_ONLY: [&str; 9] = [
    "/console",
    "/welcome",
    "/api/status",
    "/api/metrics",
    "/api/rooms",
    "/api/docs",
    "/api/openapi.json",
    "/api/asyncapi.json",
    "/api/events.d.ts",
];

/// The span of one request, for `TraceLayer::make_span_with`. It names the route, not the path:
/// a path may hold a secret, as a webhook's does.
pub fn span<B>(request: &http::Request<B>) -> Span {
    let extensions = request.extensions();
    let route = extensions.get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    let id = extensions.get::<RequestId>().map_or("", RequestId::as_str);
    let method = request.method().as_str();
    let trace_id = trace_id(request.headers());
    let below = |paths: &[&str]| paths.iter().any(|path| request.uri().path().starts_with(path));
    let reads = matches!(*request.method(), Method::GET | Method::HEAD) && below(&READ_ONLY);
    // What a browser may do is asked before every request of a page's.
    macro_rules! named {
        ($span:ident) => {
            tracing::$span!(
                "request",
                request_id = id,
                trace_id,
                method,
                route,
                // Who asked; both where a service acts for a user.
                service = Empty,
                user = Empty,
                status = Empty
            )
        };
    }
    if below(&QUIET) || reads || request.method() == Method::OPTIONS {
        named!(debug_span)
    } else {
        named!(info_span)
    }
}

/// Tells of the answer, for `TraceLayer::on_response`: at info where the span is, of what failed or took as
/// long as `slow`.
pub fn answered<B>(response: &http::Response<B>, latency: Duration, span: &Span, slow: Duration) {
    let status = response.status().as_u16();
    span.record("status", status);
    let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
    // Anyone can make a request that is refused: of one address a few are told.
    let refused = response.status().is_client_error() || response.status().is_server_error();
    let at_info = (refused || latency >= slow)
        && span.metadata().is_some_and(|span| *span.level() == tracing::Level::INFO);
    let address = response.extensions().get().filter(|_| refused).map(|ClientAddress(by)| *by);
    let admitted = match address {
        Some(_) if at_info => log_limit::admit("request", address, response.status().as_str()),
        _ => Some(0),
    };
    match (at_info, admitted) {
        (true, Some(0)) => tracing::info!(latency_ms, "request answered"),
        (true, Some(left_out)) => tracing::info!(latency_ms, left_out, "request answered"),
        _ => tracing::debug!(latency_ms, "request answered"),
    }
}

/// The trace id of a `traceparent` header (W3C Trace Context, section 3.2).
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = header.split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|b| b"0123456789abcdef".contains(&b))
    };
    let known = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    let named = |text: &str| text.bytes().any(|b| b != b'0');
    let valid = known && hex(trace, 32) && named(trace) && hex(parent, 16) && named(parent);
    (valid && hex(flags, 2)).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::LogFormat, rest::log::tests::Lines};

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn a_plain_request_id_is_kept_and_another_is_replaced() {
        let take = |value: &str| RequestId::take_or_make(&headers("x-request-id", value), Ids);
        for good in ["a", "req_1.2:3-4", &"x".repeat(128)] {
            assert_eq!(take(good).as_str(), good);
        }
        for bad in ["", "a b", "a@b", "a\"b", &"x".repeat(129)] {
            assert_eq!(take(bad).as_str().len(), 36, "{bad:?}");
        }
        let none = HeaderMap::new();
        assert_ne!(RequestId::take_or_make(&none, Ids), RequestId::take_or_make(&none, Ids));
    }

    #[test]
    fn what_failed_or_was_slow_is_told_at_info() {
        let (lines, _guard) = Lines::gather("info", LogFormat::Json);
        let (request, poll) = (tracing::info_span!("request"), tracing::debug_span!("request"));
        let slow = Duration::from_secs(1);
        let tell = |span: &Span, status: u16, ms| {
            let answer = http::Response::builder().status(status).body(()).unwrap();
            answered(&answer, Duration::from_millis(ms), span, slow);
        };
        tell(&request, 200, 999);
        tell(&poll, 200, 30_000);
        assert_eq!(lines.text(), "");
        for (status, ms) in [(200, 1000), (404, 1), (500, 1)] {
            let before = lines.text().lines().count();
            tell(&request, status, ms);
            assert_eq!(lines.text().lines().count(), before + 1, "{status} after {ms} ms");
        }
    }

    #[test]
    fn a_trace_id_comes_from_a_valid_traceparent_only() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let read = |value: &str| trace_id(&headers("traceparent", value)).map(str::to_owned);
        for good in ["00-{}-00f067aa0ba902b7-01", "cc-{}-00f067aa0ba902b7-00-later"] {
            assert_eq!(read(&good.replace("{}", trace)).as_deref(), Some(trace), "{good}");
        }
        for bad in [
            "",
            "00-{}-00f067aa0ba902b7",
            "00-{}-00f067aa0ba902b7-01-more",
            "ff-{}-00f067aa0ba902b7-01",
            "00-{}-0000000000000000-01",
            "00-{}0-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(read(&bad.replace("{}", trace)), None, "{bad}");
        }
    }
}
