//! Accounts through the front door: who signs up, signs in, and what ends.

mod login;
mod off;
mod password;
mod refresh;
mod register;
mod token;

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use stoa::{
    clock::Clock,
    config::{AccountsMode, Argon2Config, Config},
};

use crate::support::{Client, Options, Person, TestApp, app::Answer};

const PASSWORD: &str = "correct horse battery";

/// A server where people register, with passwords that are cheap to hash.
async fn start() -> TestApp {
    with(|_| {}).await
}

async fn with(change: impl FnOnce(&mut Config)) -> TestApp {
    with_clock(Clock::system(), change).await
}

async fn with_clock(clock: Clock, change: impl FnOnce(&mut Config)) -> TestApp {
    TestApp::with_clock(clock, |config| {
        config.accounts.mode = AccountsMode::On;
        config.accounts.argon2 = Argon2Config { memory_kib: 64, passes: 1, lanes: 1 };
        // Tests say for themselves how fast is too fast.
        config.limits.enabled = false;
        change(config);
    })
    .await
}

/// `POST` without credentials.
async fn post(app: &TestApp, path: &str, body: &Value) -> Answer {
    app.post_with(path, &[], body).await
}

/// The same from another address, by way of a proxy that is believed.
async fn post_from(app: &TestApp, address: Ipv4Addr, path: &str, body: &Value) -> Answer {
    app.post_with(path, &[("x-forwarded-for", &address.to_string())], body).await
}

fn believe_this_machine(config: &mut Config) {
    config.server.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a range")];
}

fn details(email: &str) -> Value {
    json!({
        "email": email, "password": PASSWORD, "firstName": "Ada", "lastName": "Lovelace",
    })
}

async fn register(app: &TestApp, email: &str) -> SignedIn {
    let answer = post(app, "/api/auth/register", &details(email)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    SignedIn::of(answer)
}

fn credentials(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

async fn try_login(app: &TestApp, email: &str, password: &str) -> Answer {
    post(app, "/api/auth/login", &credentials(email, password)).await
}

async fn login(app: &TestApp, email: &str) -> SignedIn {
    let answer = try_login(app, email, PASSWORD).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    SignedIn::of(answer)
}

async fn try_refresh(app: &TestApp, token: &str) -> Answer {
    post(app, "/api/auth/refresh", &json!({ "refreshToken": token })).await
}

/// A user with tokens.
#[derive(Debug)]
struct SignedIn {
    body: Value,
}

impl SignedIn {
    fn of(answer: Answer) -> Self {
        assert_eq!(answer.headers["cache-control"], "no-store", "{answer:?}");
        Self { body: answer.ok() }
    }

    fn text(&self, field: &str) -> &str {
        self.body[field].as_str().expect(field)
    }

    fn id(&self) -> &str {
        self.body["user"]["id"].as_str().expect("an id")
    }

    fn access(&self) -> &str {
        self.text("accessToken")
    }

    fn refresh(&self) -> &str {
        self.text("refreshToken")
    }

    fn person(&self, app: &TestApp) -> Person {
        app.bearer(self.id(), self.access())
    }

    /// A socket with the access token.
    async fn socket(&self, app: &TestApp, options: Options) -> Client {
        self.person(app).connect_by(options).await.into_client()
    }

    async fn get(&self, app: &TestApp, path: &str) -> Answer {
        self.person(app).get(path).await
    }

    async fn post(&self, app: &TestApp, path: &str, body: Value) -> Answer {
        self.person(app).post(path, body).await
    }

    /// Whether the access token still serves.
    async fn is_in(&self, app: &TestApp) -> bool {
        let answer = self.get(app, "/api/auth/me").await;
        if answer.status == 401 {
            assert_eq!(answer.problem(401), "token_revoked");
            let refused = app.refusal(Options::websocket().token(self.access())).await;
            assert_eq!(refused, "Authentication error: token revoked");
            return false;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        true
    }
}

/// That a socket is told and closed, as nobody's whose token still counts.
async fn expect_revoked(client: &mut Client) {
    let closing = client.expect("session:closing").await;
    assert_eq!((&closing["reason"], &closing["retryable"]), (&json!("revoked"), &json!(false)));
    client.closed().await;
}
