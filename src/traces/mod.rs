//! Traces by OpenTelemetry (`OTEL_EXPORTER_OTLP_ENDPOINT`): what one request led to, from its answer by
//! way of the store to what was emitted and told to webhooks. Where they are not asked for nothing of this
//! is built; what then is left of them is a look at a flag.
//!
//! Spans are in the target [`TARGET`] at the level `trace`, so that no line of the log has them.

mod cause;
mod export;

use std::sync::atomic::{AtomicBool, Ordering};

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::HeaderMap;
use opentelemetry::{
    Context,
    propagation::TextMapPropagator as _,
    trace::{SpanContext, TraceContextExt as _},
};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Instrument as _, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub use self::{
    cause::{Cause, Causes},
    export::{Export, Spans},
};

/// The target of spans that are exported.
pub const TARGET: &str = "stoa::traces";

static IS_ON: AtomicBool = AtomicBool::new(false);

/// Whether traces are exported.
#[must_use]
pub fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// A span of what is exported; none where nothing is.
macro_rules! span {
    ($name:literal $($fields:tt)*) => {
        if $crate::traces::is_on() {
            tracing::trace_span!(target: $crate::traces::TARGET, $name $($fields)*)
        } else {
            tracing::Span::none()
        }
    };
}
pub(crate) use span;

/// Middleware: a request, under its caller's span where `traceparent` names one.
pub async fn request(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("unmatched", MatchedPath::as_str);
    let method = request.method().as_str();
    let span = span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty
    );
    if let Some(caller) = caller(request.headers()) {
        follow(&span, caller);
    }
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// Puts a span under one that is elsewhere.
fn follow(span: &Span, parent: SpanContext) {
    // Fails for a span that nobody exports.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

/// The caller's span, as `traceparent` and `tracestate` have it (W3C Trace Context).
fn caller(headers: &HeaderMap) -> Option<SpanContext> {
    let context = TraceContextPropagator::new()
        .extract_with_context(&Context::new(), &HeaderExtractor(headers));
    let caller = context.span().span_context().clone();
    caller.is_valid().then_some(caller)
}
