//! What operators see: every metric of this server, declared once with its labels (`declared`), and
//! `/metrics`.
//!
//! The recorder is the process's, as the `metrics` facade has it: several servers in one process,
//! as in tests, count together. Where a metric is touched often, keep the handle its function gives;
//! one taken before [`install`] counts nothing.

mod declared;

use std::time::{Duration, Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{Method, header::CONTENT_TYPE};
use metrics::{Gauge, SharedString};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use parking_lot::Mutex;

pub use self::declared::*;

/// Upper bounds of the duration histograms, in seconds.
const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The same for what mostly takes less than a millisecond, by how their names begin.
const SHORT_SECONDS: [f64; 12] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];
const SHORT: [&str; 4] = ["stoa_broadcast_", "stoa_cluster_", "stoa_store_", "stoa_tail_"];

/// Renders what was recorded. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    recorder: PrometheusHandle,
    process: Collector,
}

/// Starts recording: every metric is there from here on, with 0. A second call gives the same recorder.
///
/// # Errors
/// When the recorder can't be built.
pub fn install() -> Result<Handle, BuildError> {
    static INSTALLED: Mutex<Option<Handle>> = Mutex::new(None);
    let mut installed = INSTALLED.lock();
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let mut builder = PrometheusBuilder::new().set_buckets(&SECONDS)?;
    for prefix in SHORT {
        let which = Matcher::Prefix(prefix.to_owned());
        builder = builder.set_buckets_for_metric(which, &SHORT_SECONDS)?;
    }
    let handle = Handle { recorder: builder.install_recorder()?, process: Collector::default() };
    declared::describe();
    declared::begin();
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

/// One more of what a gauge counts, as long as this lives.
pub struct Counted(Gauge);

impl Counted {
    /// Counts it.
    #[must_use]
    pub fn by(gauge: Gauge) -> Self {
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
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
