//! Payments by SHKeeper through the front door: a real server of ours, and one that behaves as
//! SHKeeper does.

mod allowance;
mod callbacks;
mod invoices;
mod money;
mod open;
mod payouts;

use std::time::Duration;

use serde_json::{Value, json};
use stoa::config::Config;

use crate::support::{
    Options, Person, TestApp,
    shkeeper::{Fake, PUBLIC_URL},
};

/// A server of ours with SHKeeper as its provider.
async fn start(fake: &Fake, change: impl FnOnce(&mut Config)) -> TestApp {
    let app = TestApp::with(|config| {
        fake.configure(config);
        config.shkeeper.poll_interval = Duration::from_millis(50);
        change(config);
    })
    .await;
    fake.resolve(PUBLIC_URL, app.address());
    app
}

/// A payment of ann's to sam for 35.50 USD, and its request.
async fn invoiced(app: &TestApp) -> (String, String) {
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let pay = json!({ "requestId": request, "provider": "shkeeper" });
    let payment = crate::support::market::id_of(&ann.post("/api/payments", pay).await.ok());
    (payment, request)
}

/// A payment as a backend sees it.
async fn payment(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/api/payments/{id}")).await.ok()
}

/// What happened to a payment: kinds with amounts.
fn ledger(payment: &Value) -> Vec<(&str, Value)> {
    let entries = payment["ledger"].as_array().expect("a ledger");
    let kind = |entry: &Value| entry["amount"].clone();
    entries.iter().map(|entry| (entry["kind"].as_str().expect("a kind"), kind(entry))).collect()
}

async fn seller(app: &TestApp) -> Person {
    app.user_with("sam", &["seller"], Options::websocket()).await
}
