//! Users through the front door: tokens made for them and the end of tokens, blocks, what is known
//! of people, and its end (docs/contract/rest.md#auth and docs/contract/rest.md#users).

mod blocks;
mod erasure;
mod export;
pub mod life;
mod people;
mod races;
mod revocations;
mod tokens;

use std::time::Duration;

use serde_json::{Value, json};
use stoa::clock::{Clock, Timestamp};

use crate::support::{Options, Person, TestApp, app::Answer};

/// What who is shut out is told at the handshake.
const REVOKED: &str = "Authentication error: token revoked";

/// Within this the sockets of who is shut out are closed.
const A_SECOND: Duration = Duration::from_secs(1);

/// Half past a second, in the middle of the night.
fn clock() -> Clock {
    Clock::manual(Timestamp::from_millis(1_764_000_000_500))
}

/// Every way to be connected.
fn transports() -> [Options; 5] {
    let options = [Options::websocket(), Options::polling(), Options::upgrade()];
    let [websocket, polling, upgrade] = options;
    let (old, old_polling) = (websocket.clone().protocol(3), polling.clone().protocol(3));
    [websocket, polling, upgrade, old, old_polling]
}

impl Person {
    /// A tab for each of them.
    async fn tabs(&self) -> Vec<Self> {
        let mut tabs = Vec::new();
        for options in transports() {
            tabs.push(self.connect_by(options).await);
        }
        tabs
    }

    /// What they see of a user.
    async fn look(&self, user: &str) -> Answer {
        self.get(&format!("/api/users/{user}")).await
    }

    /// Whether their token is good on REST and at the handshake.
    async fn is_let_in(&self) -> bool {
        let answer = self.get("/api/presence/alice").await;
        let connected = self.try_connect(Options::websocket()).await;
        assert_eq!(connected.is_ok(), answer.status == 200, "{answer:?}");
        answer.status == 200
    }
}

/// Asserts that a socket is told why it is closed, and is closed within a second.
async fn expect_end(tab: &mut Person, reason: &str) {
    let told = tab.expect("session:closing").await;
    let retryable = reason != "revoked";
    assert_eq!(told, json!({ "reason": reason, "retryable": retryable }));
    tab.closed_within(A_SECOND + Duration::from_millis(500)).await;
}

/// Revokes as the backend service.
async fn revoke(app: &TestApp, named: Value) {
    let answer = app.post("/api/auth/revocations", named).await;
    assert_eq!((answer.status.as_u16(), &answer.body), (204, &Value::Null), "{answer:?}");
}
