//! What operators see: every metric of this server, declared once with its labels, and `/metrics`.
//!
//! The recorder is the process's, as the `metrics` facade has it: several servers in one process,
//! as in tests, count together. Where a metric is touched often, keep the handle its function gives;
//! one taken before [`install`] counts nothing.

use std::time::{Duration, Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{Method, header::CONTENT_TYPE};
use metrics::{Counter, Gauge, Histogram, SharedString};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use parking_lot::Mutex;

/// Upper bounds of the duration histograms, in seconds.
const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Declares metrics: kind, function with the labels in order, and name. The doc comment is the help
/// text in `/metrics`.
macro_rules! declare {
    (@handle counter) => { Counter };
    (@handle gauge) => { Gauge };
    (@handle histogram) => { Histogram };
    (@describe counter $name:literal $doc:expr) => { metrics::describe_counter!($name, $doc) };
    (@describe gauge $name:literal $doc:expr) => { metrics::describe_gauge!($name, $doc) };
    (@describe histogram $name:literal $doc:expr) => { metrics::describe_histogram!($name, $doc) };
    ($($(#[doc = $doc:literal])+ $kind:ident $function:ident($($label:ident),*) = $name:literal;)+) => {
        $($(#[doc = $doc])+
        pub fn $function($($label: impl Into<SharedString>),*) -> declare!(@handle $kind) {
            metrics::$kind!($name $(, stringify!($label) => $label.into())*)
        })+

        fn describe() {
            $(declare!(@describe $kind $name concat!($($doc),+).trim_start());)+
        }
    };
}

declare! {
    /// 1, by the name of this node: there is one where there may be others.
    gauge node_info(node) = "stoa_node_info";
    /// Requests answered, by route, method and status.
    counter http_requests(route, method, status) = "stoa_http_requests_total";
    /// Time to an answer in seconds, by route and method.
    histogram http_duration(route, method) = "stoa_http_request_duration_seconds";
    /// Requests refused because their caller asked too fast, by class: `write` and `read` of users,
    /// `operator`, `stranger` for addresses without valid credentials, and those of accounts:
    /// `login`, `account_login`, `address_login`, `registration`, `password_reset`.
    counter requests_limited(class) = "stoa_http_requests_limited_total";
    /// Passwords that were tried, by outcome: `right` or `wrong`.
    counter logins(outcome) = "stoa_logins_total";
    /// Refresh tokens that were used twice: each ended what was refreshed with it.
    counter refresh_reuses() = "stoa_refresh_tokens_reused_total";
    /// Open Socket.IO connections, by namespace.
    gauge connections(namespace) = "stoa_connections";
    /// Calls refused because of the token or API key that they came with, by the reason's stable
    /// code.
    counter credentials_refused(reason) = "stoa_http_credentials_refused_total";
    /// Handshakes refused, by the reason's stable code.
    counter handshakes_refused(reason) = "stoa_handshakes_refused_total";
    /// Events received, by name (`proxied` for one that a backend is asked, `unknown` for any other that
    /// is not in the catalogue) and outcome: `ok`
    /// or the code of the error.
    counter events_in(event, outcome) = "stoa_events_received_total";
    /// Questions to the backend of the event proxy, by kind (`event`, `join`), by the pattern that took
    /// the event, and by outcome: `answered`, `refused`, or why there is no answer (`timeout`,
    /// `unreachable`, `status`, `unreadable`, `too_large`), and it was not asked (`open`, `busy`).
    counter proxy_questions(kind, event, outcome) = "stoa_proxy_questions_total";
    /// Time from an event's turn to the backend's answer in seconds, by kind and pattern.
    histogram proxy_duration(kind, event) = "stoa_proxy_question_duration_seconds";
    /// Answers of that backend that were not done, by the part that could not be: `join`, `leave`.
    counter proxy_answers_refused(part) = "stoa_proxy_answers_refused_total";
    /// Events that webhooks had to tell, by webhook and by what became of it: `delivered`, `nothing` (it was
    /// taken back, or is too old), `status`, `timeout`, `unreachable` (it is tried again), `put_aside`, and
    /// `gone` (a 410 turned the webhook off).
    counter webhook_deliveries(webhook, outcome) = "stoa_webhook_deliveries_total";
    /// Time of the calls that delivered an event in seconds, by webhook.
    histogram webhook_duration(webhook) = "stoa_webhook_delivery_duration_seconds";
    /// Kept events after the first that a webhook is still to be told, by webhook.
    gauge webhook_behind(webhook) = "stoa_webhook_behind_events";
    /// Events that a webhook failed to tell and tries again, by webhook.
    gauge webhook_retried(webhook) = "stoa_webhook_retried_events";
    /// Events delivered to sockets of this node, one for each socket, by name.
    counter events_out(event) = "stoa_events_delivered_total";
    /// Volatile events that were dropped for a socket for which bytes waited.
    counter volatile_dropped() = "stoa_volatile_events_dropped_total";
    /// Connections closed because they took too little for too long.
    counter slow_consumers() = "stoa_slow_consumers_closed_total";
    /// Clients that came back to a session, by what became of it (`recovered`, `lost`).
    counter recoveries(outcome) = "stoa_recoveries_total";
    /// Connections closed because their token was revoked or their user blocked.
    counter revoked_closed() = "stoa_revoked_closed_total";
    /// Transports closed because they sent too much that is no event within its rate.
    counter rate_limited() = "stoa_rate_limited_closed_total";
    /// Open TCP connections that are no websocket.
    gauge http_connections() = "stoa_http_connections";
    /// TCP connections refused because their peer has as many as it may.
    counter http_connections_refused() = "stoa_http_connections_refused_total";
    /// Users who came or went, by what they are now (`online`, `offline`).
    counter presence_transitions(to) = "stoa_presence_transitions_total";
    /// Events refused because the queue of their connection was full.
    counter queue_overflows() = "stoa_queue_overflows_total";
    /// Whether this node is connected to Redis.
    gauge cluster_connected() = "stoa_cluster_connected";
    /// Times that the connection to Redis was lost.
    counter cluster_lost() = "stoa_cluster_connections_lost_total";
    /// Messages to Redis, by channel.
    counter cluster_published(channel) = "stoa_cluster_messages_published_total";
    /// Messages from Redis, by channel.
    counter cluster_received(channel) = "stoa_cluster_messages_received_total";
    /// Events that are not kept and were sent to other nodes.
    counter cluster_sent() = "stoa_cluster_events_sent_total";
    /// What other nodes did not hear, or this one could not read: `away`, `queue_full`,
    /// `unreadable`, and questions that it had no time for: `busy`.
    counter cluster_dropped(reason) = "stoa_cluster_dropped_total";
    /// What emitters of other backends published and this node took, by emitter (`node`, `python`) and by
    /// what became of it: `sent`, `done` (a command), `refused`, `unreadable`, `unavailable` (the store was
    /// away); and what it could not take: `dropped`.
    counter bridge_messages(emitter, outcome) = "stoa_bridge_messages_total";
    /// Panics of tasks, by the task's name.
    counter task_panics(task) = "stoa_task_panics_total";
}

/// Renders what was recorded. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    recorder: PrometheusHandle,
    process: Collector,
}

/// Starts recording; a second call gives the same recorder.
///
/// # Errors
/// When the recorder can't be built.
pub fn install() -> Result<Handle, BuildError> {
    static INSTALLED: Mutex<Option<Handle>> = Mutex::new(None);
    let mut installed = INSTALLED.lock();
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new().set_buckets(&SECONDS)?.install_recorder()?;
    let handle = Handle { recorder, process: Collector::default() };
    describe();
    handle.process.describe();
    Ok(installed.insert(handle).clone())
}

impl Handle {
    /// The metrics as Prometheus reads them (text exposition format 0.0.4).
    #[must_use]
    pub fn render(&self) -> String {
        self.process.collect();
        self.recorder.render()
    }

    /// The metrics as an answer over HTTP.
    #[must_use]
    pub fn answer(&self) -> Response {
        ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], self.render())
            .into_response()
    }

    /// Folds recorded samples together, for ever; without it histograms that nobody scrapes grow.
    pub async fn keep_up(self) {
        let mut every = tokio::time::interval(Duration::from_secs(10));
        loop {
            every.tick().await;
            self.recorder.run_upkeep();
        }
    }
}

/// `/metrics`, for the public port or for `METRICS_PORT`.
pub fn router<S: Clone + Send + Sync + 'static>(handle: Handle) -> Router<S> {
    Router::new().route("/metrics", get(async move || handle.answer()))
}

/// Middleware: counts and times requests. It goes outside `rest::layers`, which decides the status.
pub async fn track(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route =
        route.map_or("unmatched".into(), |path| SharedString::from(path.as_str().to_owned()));
    let method = known(request.method());
    let start = Instant::now();
    let response = next.run(request).await;
    http_duration(route.clone(), method).record(start.elapsed());
    http_requests(route, method, response.status().as_str().to_owned()).increment(1);
    response
}

/// Callers may invent methods; each would be a series for ever.
const fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, middleware::from_fn};
    use tower::ServiceExt as _;

    use super::*;

    async fn call(router: &Router, method: &str, path: &str) -> String {
        let request = http::Request::builder().method(method).uri(path);
        let request = request.body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn requests_are_counted_by_route_and_never_by_path() {
        let router = router(install().unwrap())
            .route("/counted/{id}", get(async || "hello"))
            .layer(from_fn(track));
        for (method, path) in [
            ("GET", "/counted/1"),
            ("GET", "/counted/2"),
            ("WHATEVER", "/counted/3"),
            ("GET", "/nowhere"),
        ] {
            call(&router, method, path).await;
        }
        let text = call(&router, "GET", "/metrics").await;
        for line in [
            r#"stoa_http_requests_total{route="/counted/{id}",method="GET",status="200"} 2"#,
            r#"stoa_http_requests_total{route="/counted/{id}",method="other",status="405"} 1"#,
            r#"stoa_http_requests_total{route="unmatched",method="GET",status="404"} 1"#,
            r#"stoa_http_request_duration_seconds_count{route="/counted/{id}",method="GET"} 2"#,
            "# HELP stoa_http_requests_total Requests answered, by route, method and status.",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("nowhere"), "{text}");
    }

    #[test]
    fn a_second_server_in_the_process_shares_the_recorder() {
        let (first, second) = (install().unwrap(), install().unwrap());
        presence_transitions("sharing").increment(1);
        events_in("unknown", "unknown_event").increment(2);
        connections("/sharing").set(3.0);
        for text in [first.render(), second.render()] {
            assert!(text.contains(r#"stoa_presence_transitions_total{to="sharing"} 1"#), "{text}");
            assert!(text.contains(r#"{event="unknown",outcome="unknown_event"} 2"#), "{text}");
            assert!(text.contains(r#"{namespace="/sharing"} 3"#), "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_tells_of_its_memory_and_open_files() {
        let text = install().unwrap().render();
        for name in ["process_resident_memory_bytes ", "process_open_fds "] {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            assert!(line.parse::<f64>().unwrap() > 0.0, "{name}{line}");
        }
    }
}
