//! What led to a kept event: it is emitted and told to webhooks long after the request that kept it, by
//! tasks of their own, so its span is found by the event's position.

use std::collections::{HashMap, VecDeque};

use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    Context,
    propagation::TextMapPropagator as _,
    trace::{SpanContext, TraceContextExt as _},
};
use opentelemetry_http::HeaderInjector;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use parking_lot::Mutex;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Events whose causes are known; of one that is older, what follows begins a trace of its own.
const KNOWN: usize = 10_000;

const TRACE_STATE: &str = "tracestate";

/// A span that something follows from.
#[derive(Clone, Debug)]
pub struct Cause(SpanContext);

impl Cause {
    /// The innermost span that this is in and that is exported.
    #[must_use]
    pub fn current() -> Option<Self> {
        super::is_on().then(|| Self::in_context(&Context::current())).flatten()
    }

    /// A span, where it is exported.
    #[must_use]
    pub fn of(span: &Span) -> Option<Self> {
        Self::in_context(&span.context())
    }

    fn in_context(context: &Context) -> Option<Self> {
        let context = context.span().span_context().clone();
        context.is_valid().then_some(Self(context))
    }

    /// Puts a span under this.
    pub fn leads_to(&self, span: &Span) {
        super::follow(span, self.0.clone());
    }

    /// It as `traceparent` and `tracestate` have it (W3C Trace Context).
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let (mut headers, context) = (HeaderMap::new(), Context::new());
        let context = context.with_remote_span_context(self.0.clone());
        TraceContextPropagator::new().inject_context(&context, &mut HeaderInjector(&mut headers));
        if headers.get(TRACE_STATE).is_some_and(HeaderValue::is_empty) {
            headers.remove(TRACE_STATE);
        }
        headers
    }
}

/// The causes of the last kept events of this process, by position.
#[derive(Debug, Default)]
pub struct Causes(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    causes: HashMap<i64, Cause>,
    /// From the oldest on.
    positions: VecDeque<i64>,
}

impl Causes {
    /// Notes what these events follow from.
    pub fn note(&self, cause: &Cause, positions: impl Iterator<Item = i64>) {
        let Recent { causes, positions: known } = &mut *self.0.lock();
        for position in positions {
            if causes.insert(position, cause.clone()).is_none() {
                known.push_back(position);
            }
            if known.len() > KNOWN
                && let Some(oldest) = known.pop_front()
            {
                causes.remove(&oldest);
            }
        }
    }

    /// What an event follows from, where that is known.
    #[must_use]
    pub fn of(&self, position: i64) -> Option<Cause> {
        super::is_on().then(|| self.0.lock().causes.get(&position).cloned()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    #[test]
    fn the_last_causes_are_known() {
        let (trace, span) = (TraceId::from(7_u128), SpanId::from(9_u64));
        let context = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE);
        let (causes, cause) = (Causes::default(), Cause(context));
        let headers = cause.headers();
        assert_eq!(
            headers["traceparent"],
            "00-00000000000000000000000000000007-0000000000000009-01"
        );
        assert_eq!(headers.len(), 1, "{headers:?}");
        let last = i64::try_from(KNOWN).unwrap();
        causes.note(&cause, 0..=last);
        let known = causes.0.lock();
        assert_eq!((known.causes.len(), known.positions.len()), (KNOWN, KNOWN));
        assert!(!known.causes.contains_key(&0) && known.causes.contains_key(&last));
    }
}
