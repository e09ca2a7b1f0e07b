//! Signing in, and being kept from it.

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use stoa::config::RatePerMinute;

use super::{
    PASSWORD, believe_this_machine, credentials, login, post, post_from, register, start,
    try_login, with,
};
use crate::support::{TestApp, app::Answer};

/// An answer without what names its request.
fn plain(answer: &Answer) -> (u16, Vec<String>, Value) {
    let mut body = answer.body.clone();
    body["requestId"] = Value::Null;
    let names = answer.headers.keys().map(ToString::to_string).collect();
    (answer.status.as_u16(), names, body)
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_the_same_answer() {
    let app = start().await;
    register(&app, "ada@example.org").await;
    let wrong = try_login(&app, "ada@example.org", "wrong horse battery").await;
    assert_eq!(wrong.problem(401), "credentials_invalid");
    for (email, password) in [
        ("bob@example.org", PASSWORD),
        ("bob@example.org", "wrong horse battery"),
        ("ada@example.org", "short"),
        ("ada@example.org", ""),
        ("ada@example.org", &PASSWORD[1..]),
        ("ada@example.org", &format!("{PASSWORD} ")),
        ("ada@example.org", &PASSWORD.to_uppercase()),
    ] {
        assert_eq!(plain(&try_login(&app, email, password).await), plain(&wrong), "{email}");
    }
    let ada = login(&app, "ADA@example.org").await;
    assert!(ada.is_in(&app).await);
}

#[tokio::test]
async fn what_is_no_login_is_refused() {
    let app = start().await;
    for (body, pointer) in [
        (json!({ "email": "ada", "password": PASSWORD }), "/email"),
        (json!({ "email": "ada@example.org", "password": 1 }), "/password"),
        (json!({ "email": "ada@example.org", "password": "x".repeat(201) }), "/password"),
        (json!({ "email": "a@b", "password": PASSWORD, "remember": true }), "/remember"),
    ] {
        let answer = post(&app, "/api/auth/login", &body).await;
        assert_eq!(answer.problem(422), "invalid_payload");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{answer:?}");
    }
}

/// Tries wrong passwords until that is refused; after how many.
async fn until_limited(app: &TestApp, email: &str, address: Ipv4Addr) -> usize {
    for n in 0..50 {
        let tried = credentials(email, "wrong horse battery");
        let answer = post_from(app, address, "/api/auth/login", &tried).await;
        if answer.status == 429 {
            assert_eq!(answer.problem(429), "rate_limited");
            let wait = answer.headers["retry-after"].to_str().expect("a text");
            let wait: u64 = wait.parse().expect("seconds");
            assert!((1..=60).contains(&wait), "{wait}");
            return n;
        }
        assert_eq!(answer.problem(401), "credentials_invalid");
    }
    panic!("never refused");
}

const HERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

async fn from(app: &TestApp, address: Ipv4Addr, email: &str) -> u16 {
    let right = credentials(email, PASSWORD);
    post_from(app, address, "/api/auth/login", &right).await.status.as_u16()
}

#[tokio::test]
async fn who_tries_passwords_is_slowed_down_by_account_and_address_and_the_owner_is_not() {
    let app = with(|config| {
        config.limits.enabled = true;
        config.limits.logins = RatePerMinute { per_minute: 1, burst: 3 };
        config.limits.account_logins = RatePerMinute { per_minute: 1, burst: 7 };
        believe_this_machine(config);
    })
    .await;
    register(&app, "ada@example.org").await;
    register(&app, "bob@example.org").await;
    // Whether there is such an account or not.
    assert_eq!(until_limited(&app, "ada@example.org", HERE).await, 3);
    assert_eq!(until_limited(&app, "nobody@example.org", HERE).await, 3);
    assert_eq!(from(&app, HERE, "ADA@example.org").await, 429, "in whatever spelling");
    assert_eq!(from(&app, HERE, "bob@example.org").await, 200, "another account");
    assert_eq!(from(&app, THERE, "ada@example.org").await, 200, "the owner, elsewhere");
    // From many addresses at once the account itself is shut, but for who is in.
    let mut tried = 0;
    for n in 2..9 {
        let wrong = credentials("ada@example.org", "wrong horse battery");
        let address = Ipv4Addr::new(203, 0, 113, n);
        let answer = post_from(&app, address, "/api/auth/login", &wrong).await;
        tried += usize::from(answer.status == 401);
    }
    assert_eq!(tried, 3, "with four from here and there");
    assert_eq!(from(&app, THERE, "bob@example.org").await, 200);
}

#[tokio::test]
async fn an_address_tries_so_many_accounts_before_its_bodies_are_read() {
    let app = with(|config| {
        config.limits.enabled = true;
        config.limits.address_logins = RatePerMinute { per_minute: 1, burst: 5 };
        believe_this_machine(config);
    })
    .await;
    register(&app, "ada@example.org").await;
    for n in 0..5 {
        let tried = credentials(&format!("{n}@example.org"), PASSWORD);
        assert_eq!(post_from(&app, HERE, "/api/auth/login", &tried).await.status, 401);
    }
    for path in ["/api/auth/login", "/api/auth/password"] {
        let nothing = post_from(&app, HERE, path, &json!(7)).await;
        assert_eq!(nothing.problem(429), "rate_limited", "{path}");
    }
    assert_eq!(from(&app, THERE, "ada@example.org").await, 200);
}

#[tokio::test]
async fn a_hash_of_other_parameters_is_made_anew_when_its_owner_signs_in() {
    let mut app = start().await;
    register(&app, "ada@example.org").await;
    // Each starts with a hash of the one before.
    for passes in [2, 1] {
        app = Box::pin(app.restart_with(|config| config.accounts.argon2.passes = passes)).await;
        for _ in 0..2 {
            login(&app, "ada@example.org").await;
        }
        let wrong = try_login(&app, "ada@example.org", "wrong horse battery").await;
        assert_eq!(wrong.problem(401), "credentials_invalid");
        app.execute(&format!(
            "UPDATE accounts SET first_name = 'Anew'
             WHERE password_hash LIKE '$argon2id$v=19$m=64,t={passes},p=1$%'"
        ))
        .await;
        let ada = login(&app, "ada@example.org").await;
        assert_eq!(ada.body["user"]["firstName"], "Anew", "{passes}");
        app.execute("UPDATE accounts SET first_name = 'Ada'").await;
    }
}
