//! What an orchestrator asks: `/livez`, is the process alive; `/readyz`, may it have traffic.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use parking_lot::Mutex;
use serde::Serialize;

use crate::config::Handshake;

/// Whether this node may have traffic. Shared; cheap to clone.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    handshake: Handshake,
    draining: AtomicBool,
    failing: Mutex<BTreeSet<&'static str>>,
    details: Mutex<BTreeMap<&'static str, &'static str>>,
    impaired: Mutex<BTreeSet<&'static str>>,
}

/// How a node is, as it says of itself.
#[derive(Debug, Default)]
pub struct Condition {
    /// It takes no new traffic.
    pub is_draining: bool,
    /// A socket without a token says who it is.
    pub is_trusting: bool,
    /// Parts that every request needs and that are away.
    pub failing: Vec<&'static str>,
    /// What it tells of other parts.
    pub details: Vec<(&'static str, &'static str)>,
}

#[derive(Serialize)]
struct Answer {
    status: &'static str,
    /// Who is let in without a token stands where operators look.
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    failing: BTreeSet<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    details: BTreeMap<&'static str, &'static str>,
}

impl Readiness {
    /// Ready, until something is said to fail or draining begins.
    #[must_use]
    pub fn new(handshake: Handshake) -> Self {
        let (draining, failing) = (AtomicBool::new(false), Mutex::default());
        let (details, impaired) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { handshake, draining, failing, details, impaired }))
    }

    /// No new traffic from now on.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Whether [`Readiness::drain`] was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// Says whether a part that every request needs works, such as `store`.
    pub fn report(&self, part: &'static str, works: bool) {
        let mut failing = self.0.failing.lock();
        if works {
            failing.remove(part);
        } else {
            failing.insert(part);
        }
    }

    /// Says how a part is that not every request needs: nobody is kept away for it.
    pub fn tell(&self, part: &'static str, state: &'static str) {
        let mut details = self.0.details.lock();
        details.insert(part, state);
    }

    /// Says whether a part works without which work is done, but less of it, such as `redis`: nobody is
    /// kept away while it does not, and operators see that it doesn't.
    pub fn impair(&self, part: &'static str, works: bool) {
        self.tell(part, if works { "ok" } else { "away" });
        let mut impaired = self.0.impaired.lock();
        if works {
            impaired.remove(part);
        } else {
            impaired.insert(part);
        }
    }

    /// How this node is now.
    #[must_use]
    pub fn state(&self) -> Condition {
        Condition {
            is_draining: self.is_draining(),
            is_trusting: self.0.handshake == Handshake::Trusting,
            failing: self.0.failing.lock().iter().copied().collect(),
            details: self.0.details.lock().iter().map(|(part, told)| (*part, *told)).collect(),
        }
    }

    fn answer(&self) -> (StatusCode, Answer) {
        let failing = self.0.failing.lock().clone();
        let (code, status) = match (self.is_draining(), failing.is_empty()) {
            (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
            (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            (false, true) if self.0.impaired.lock().is_empty() => (StatusCode::OK, "ok"),
            (false, true) => (StatusCode::OK, "degraded"),
        };
        let handshake = (self.0.handshake == Handshake::Trusting).then_some("trusting");
        let details = self.0.details.lock().clone();
        (code, Answer { status, handshake, failing, details })
    }
}

/// `/livez` and `/readyz`.
pub fn router<S: Clone + Send + Sync + 'static>(readiness: Readiness) -> Router<S> {
    Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).with_state(readiness)
}

async fn livez() -> Response {
    let (failing, details) = (BTreeSet::new(), BTreeMap::new());
    let answer = Answer { status: "ok", handshake: None, failing, details };
    Json(answer).into_response()
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    let (status, answer) = readiness.answer();
    (status, Json(answer)).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(readiness: &Readiness, path: &str) -> (u16, Value) {
        let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let response = router(readiness.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_draining_node_lives_but_is_not_ready() {
        let readiness = Readiness::new(Handshake::Required);
        assert_eq!(ask(&readiness, "/readyz").await, (200, json!({"status": "ok"})));
        readiness.drain();
        assert_eq!(ask(&readiness, "/readyz").await, (503, json!({"status": "draining"})));
        assert_eq!(ask(&readiness, "/livez").await, (200, json!({"status": "ok"})));
    }

    #[tokio::test]
    async fn a_failing_part_is_named_until_it_works_again() {
        let readiness = Readiness::new(Handshake::Required);
        readiness.report("store", false);
        let expected = json!({"status": "unavailable", "failing": ["store"]});
        assert_eq!(ask(&readiness, "/readyz").await, (503, expected));
        readiness.report("store", true);
        assert_eq!(ask(&readiness, "/readyz").await.0, 200);
    }

    #[tokio::test]
    async fn what_not_everybody_needs_is_told_and_keeps_nobody_away() {
        let readiness = Readiness::new(Handshake::Required);
        readiness.tell("proxy", "failing");
        let expected = json!({"status": "ok", "details": {"proxy": "failing"}});
        assert_eq!(ask(&readiness, "/readyz").await, (200, expected));
        assert_eq!(ask(&readiness, "/livez").await, (200, json!({"status": "ok"})));
    }

    #[tokio::test]
    async fn what_is_done_without_degrades_it_until_it_is_back() {
        let readiness = Readiness::new(Handshake::Required);
        readiness.impair("redis", false);
        let expected = json!({"status": "degraded", "details": {"redis": "away"}});
        assert_eq!(ask(&readiness, "/readyz").await, (200, expected));
        readiness.report("store", false);
        let (status, answer) = ask(&readiness, "/readyz").await;
        assert_eq!((status, &answer["status"]), (503, &json!("unavailable")));
        readiness.report("store", true);
        readiness.impair("redis", true);
        let expected = json!({"status": "ok", "details": {"redis": "ok"}});
        assert_eq!(ask(&readiness, "/readyz").await, (200, expected));
    }

    #[tokio::test]
    async fn a_trusting_handshake_is_shown() {
        let readiness = Readiness::new(Handshake::Trusting);
        let expected = json!({"status": "ok", "handshake": "trusting"});
        assert_eq!(ask(&readiness, "/readyz").await, (200, expected));
    }
}
