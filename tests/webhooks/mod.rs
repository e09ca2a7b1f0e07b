//! Webhooks: what happened, told to backends that answer well, or badly, or not at all
//! (docs/contract/rest.md#webhooks).

mod failing;
mod killed;
mod nodes;
mod rest;
mod told;
mod turns;

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use stoa::config::Config;

use crate::{
    proxy::backend::{Backend, Reply, SECRET},
    support::{Person, TestApp, app::Answer, eventually, within},
};

/// A backend with a webhook's URL, and what it has taken.
#[derive(Clone)]
struct Receiver {
    backend: Backend,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    /// One that takes everything.
    async fn start() -> Self {
        let (backend, taken) = (Backend::start(|_| Reply::Status(200)).await, Arc::default());
        let receiver = Self { backend, taken };
        receiver.answer(|_| Reply::Status(204));
        receiver
    }

    /// Answers so from now on; what it answers with success it has taken.
    fn answer(&self, script: impl Fn(&Value) -> Reply + Send + 'static) {
        let taken = self.taken.clone();
        self.backend.answer(move |body| {
            let reply = script(body);
            let is_success = matches!(reply, Reply::Status(200..300) | Reply::Endless { .. });
            if is_success {
                taken.lock().push(body.clone());
            }
            reply
        });
    }

    /// Has a server tell it these events.
    fn configure(&self, config: &mut Config, events: &[&str]) {
        config.webhooks.url = Some(self.backend.url());
        config.webhooks.secret = Some(SECRET.into());
        config.webhooks.events = events.iter().map(|event| (*event).to_owned()).collect();
    }

    /// A server that tells it these events.
    async fn server(&self, events: &[&str]) -> TestApp {
        TestApp::with(|config| self.configure(config, events)).await
    }

    /// What it has taken.
    fn taken(&self) -> Vec<Value> {
        self.taken.lock().clone()
    }

    /// The same, once it is so much.
    async fn until_taken(&self, many: usize) -> Vec<Value> {
        let enough = async || Some(self.taken()).filter(|taken| taken.len() >= many);
        within("the backend to be told", eventually(enough)).await
    }

    /// The `n`s of what it has taken of a stream.
    fn numbers(&self, stream: &str) -> Vec<i64> {
        let taken = self.taken();
        let of = taken.iter().filter(|body| body["stream"] == stream);
        of.map(|body| body["data"]["n"].as_i64().expect("a number")).collect()
    }

    /// Waits until it has taken these of a stream.
    async fn until_numbers(&self, stream: &str, expected: &[i64]) {
        let same = async || (self.numbers(stream) == expected).then_some(());
        let done = tokio::time::timeout(crate::support::DEADLINE, eventually(same)).await;
        assert!(done.is_ok(), "{stream}: {:?} is not {expected:?}", self.numbers(stream));
    }
}

/// Emits numbers to a room of a backend's own, one after the other.
async fn tick(app: &TestApp, room: &str, numbers: impl IntoIterator<Item = i64>) {
    for n in numbers {
        app.emit_to_room(room, "tick", json!({ "n": n })).await;
    }
}

/// Who may look after webhooks.
fn admin(app: &TestApp) -> Person {
    app.person_as("root", &["admin"])
}

/// How a webhook does.
async fn health(app: &TestApp) -> Value {
    admin(app).get("/api/webhook-endpoints").await.ok()["items"][0].clone()
}

/// Waits until a webhook does so.
async fn until_health(app: &TestApp, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let ask = async || Some(health(app).await).filter(&wanted);
    within(what, eventually(ask)).await
}

async fn replay(app: &TestApp, what: Value) -> Answer {
    admin(app).post("/api/webhook-endpoints/default/replay", what).await
}
