//! The event proxy: events of an app's own, which a backend answers, well or badly
//! (docs/contract/rest.md#event-proxy).

pub mod backend;
mod events;
mod failing;
mod rooms;

use serde_json::{Value, json};
use stoa::config::Config;

use crate::support::TestApp;
use backend::{Backend, Reply};

/// A server that asks this backend for these events.
async fn start(backend: &Backend, events: &[&str]) -> TestApp {
    start_with(backend, events, |_| {}).await
}

/// The same, with another configuration.
async fn start_with(
    backend: &Backend,
    events: &[&str],
    change: impl FnOnce(&mut Config),
) -> TestApp {
    TestApp::with(|config| {
        backend.configure(config, events);
        change(config);
    })
    .await
}

/// Acknowledges with what it was asked.
fn echo(asked: &Value) -> Reply {
    Reply::Json(json!({ "ack": [asked] }))
}

/// Acknowledges with the event's first argument.
fn answer_the_first(asked: &Value) -> Reply {
    Reply::Json(json!({ "ack": [asked["args"][0]] }))
}

/// Asserts that an acknowledgement says that nobody is there to answer.
fn assert_unavailable(ack: &Value) {
    let expected = json!({
        "success": false,
        "error": "What answers this is not available; try again.",
        "code": "unavailable",
    });
    assert_eq!(*ack, expected);
}
