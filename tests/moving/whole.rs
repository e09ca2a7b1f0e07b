//! A store moves whole: what was told of it and taken in elsewhere is told again in the same lines.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::verb;
use crate::{
    support::{TestApp, app::API_KEY, market::id_of, postgres::Postgres},
    users::life::{Life, configure},
};

/// A store of the engine that this test does not run on.
async fn elsewhere(app: &TestApp) -> Option<String> {
    match app.database_url() {
        Some(_) => None,
        None => Some(Postgres::shared().database().await),
    }
}

/// What somebody leaves who has done everything, and what others have to do with it.
async fn busy() -> (TestApp, Life) {
    let app = TestApp::with(configure).await;
    let life = Life::live(&app).await;
    let (bob, her) = (app.person("bob"), &life.person);
    let backend = async |method: Method, path: &str, body: Option<Value>| {
        app.request(method, path, Some(API_KEY), body).await.ok()
    };
    // Who came later has read nothing, and somebody is gone again.
    let talk = format!("/api/conversations/{}", life.conversations[1]);
    for user in ["dora", "emil"] {
        bob.post(&format!("{talk}/participants"), json!({ "userId": user })).await.ok();
    }
    let emil = app.person("emil");
    emil.post(&format!("{talk}/messages"), json!({ "content": "Bye" })).await.created();
    emil.delete(&format!("{talk}/participants/emil")).await;
    let gone = bob.post(&format!("{talk}/messages"), json!({ "content": "oops" })).await.created();
    let gone = gone["message"]["id"].as_str().expect("an id").to_owned();
    bob.delete(&format!("/api/messages/{gone}")).await;
    let direct = json!({ "participantIds": ["dora"] });
    let direct = bob.post("/api/conversations", direct).await.created();
    let direct = direct["conversation"]["id"].as_str().expect("an id").to_owned();
    bob.post_nothing(&format!("/api/conversations/{direct}/archive")).await;
    // One is blocked, of one the tokens are revoked, and one token alone.
    let block = json!({ "reason": "spam", "until": "2100-01-01T00:00:00Z" });
    backend(Method::POST, "/api/users/troll/block", Some(block)).await;
    backend(Method::POST, "/api/auth/revocations", Some(json!({ "userId": "lost" }))).await;
    backend(Method::POST, "/api/auth/revocations", Some(json!({ "jti": "one" }))).await;
    let profile =
        json!({ "firstName": "Carol", "email": "carol@example.org", "roles": ["seller"] });
    backend(Method::PUT, "/api/users/carol", Some(profile)).await;
    // A sale that goes through, and is paid out.
    let pay = format!("/api/payments/{}/confirm", life.payment);
    backend(Method::POST, &pay, Some(json!({ "txHash": "0xABC1" }))).await;
    let escrow = format!("/api/payments/{}/escrow", life.payment);
    backend(Method::POST, &escrow, Some(json!({ "escrowState": "held" }))).await;
    let bought = format!("/api/marketplace/requests/{}", life.requests[0]);
    bob.post_nothing(&format!("{bought}/delivery/code")).await.ok();
    let shipped = json!({ "status": "shipped", "carrier": "Post", "trackingNumber": "1" });
    bob.patch(&format!("{bought}/delivery"), shipped).await.ok();
    let payout = json!({
        "sellerId": "bob", "paymentId": life.payment, "amount": "35.50", "currency": "USD",
        "destination": "0xB0B", "provider": "decentralized",
    });
    let payout = id_of(&backend(Method::POST, "/api/payouts", Some(payout)).await);
    let through = json!({ "status": "completed", "txHash": "0xDEF2" });
    backend(Method::PATCH, &format!("/api/payouts/{payout}"), Some(through)).await;
    let checkout = json!({ "requestIds": [life.requests[1]] });
    her.post("/api/marketplace/template-checkouts", checkout).await.created();
    let notifications = her.get("/api/notifications").await.ok();
    let first = notifications["items"][0]["id"].as_str().expect("an id").to_owned();
    her.post_nothing(&format!("/api/notifications/{first}/read")).await.ok();
    bob.post_nothing("/api/notifications/read-all").await.ok();
    (app, life)
}

/// What is seldom there: an invoice of a provider with its callbacks, and somebody who is about to be erased.
async fn with_what_is_rare(app: &TestApp, payment: &str) {
    let body = if app.database_url().is_some() { r"'\x7b7d'" } else { "x'7b7d'" };
    for sql in [
        "UPDATE payments SET wallet = '0xWALLET', crypto = 'ETH-USDT', crypto_amount = '35.61',
            exchange_rate = '1.003', display_name = 'USDT', webhook_token = 'a secret'",
        &format!(
            "INSERT INTO payment_coins (payment_id, crypto, changes)
             VALUES ('{payment}', 'ETH-USDT', 1), ('{payment}', 'BTC', 0)"
        ),
        &format!(
            "INSERT INTO webhooks
                (dedupe_key, provider, subject_id, headers, body, received_at, processed_at)
             VALUES ('k1', 'shkeeper', '{payment}', '{{}}', {body}, 1, 2),
                ('k2', 'shkeeper', '{payment}', '{{}}', {body}, 3, NULL)"
        ),
        "INSERT INTO erasures (user_id, asked_at) VALUES ('gone', 5)",
    ] {
        app.execute(sql).await;
    }
}

fn types(lines: &[String]) -> Vec<String> {
    let kind = |line: &String| {
        let line: Value = serde_json::from_str(line).expect("a line");
        line["type"].as_str().expect("a type").to_owned()
    };
    let mut types: Vec<String> = lines.iter().map(kind).collect();
    types.sort();
    types.dedup();
    types
}

/// Moves everything from one store to another.
fn carry(from: (&Path, Option<&str>), to: (&Path, Option<&str>)) -> Vec<String> {
    let lines = verb::exported(from.0, from.1);
    std::fs::write(to.0.join("moved.jsonl"), lines.join("\n")).expect("a file");
    let said = verb::run(to.0, to.1, &["import", "moved.jsonl"]).ok();
    let count = lines.len();
    assert_eq!(
        verb::in_all(&said),
        format!("{count} lines: {count} written, 0 were there already.")
    );
    lines
}

#[tokio::test]
async fn a_store_with_everything_in_it_is_the_same_in_the_other_engine_and_back_again() {
    let (app, life) = busy().await;
    with_what_is_rare(&app, &life.payment).await;
    let (url, other) = (app.database_url(), elsewhere(&app).await);
    let (there, back) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let again = match &url {
        Some(_) => Some(Postgres::shared().database().await),
        None => None,
    };
    let mut lines = Vec::new();
    let app = app
        .restart_after(|data| {
            let (there, back) = ((there.path(), other.as_deref()), (back.path(), again.as_deref()));
            lines = carry((data, url.as_deref()), there);
            assert_eq!(carry(there, back), lines);
            assert_eq!(verb::exported(back.0, back.1), lines);
        })
        .await;
    let all = [
        "checkout",
        "conversation",
        "grant",
        "message",
        "notification",
        "offer",
        "payment",
        "payout",
        "points",
        "request",
        "revocation",
        "stream",
        "user",
    ];
    assert_eq!(types(&lines), all);
    for field in [
        "callbacks",
        "coins",
        "transactions",
        "invoice",
        "signIns",
        "block",
        "erasureAskedAt",
        "referredBy",
        "toldLevel",
        "codeHash",
        "readAt",
        "wordsOf",
        "replyTo",
    ] {
        let told = format!("\"{field}\":");
        assert!(lines.iter().any(|line| line.contains(&told)), "no {field}");
    }
    drop(app);
}

#[tokio::test]
async fn who_comes_back_to_a_store_that_was_moved_finds_it_as_it_was() {
    let (app, life) = busy().await;
    let talk = life.conversations[1].clone();
    let mut bob = app.user("bob").await;
    let joined = bob.emit_ack("conversation:join", &*talk).await;
    let seq = joined["seq"].as_i64().expect("a number");
    let of = |user: &str| app.person(user);
    let seen = async |who: &crate::support::Person| {
        let mut seen = Vec::new();
        for path in [
            "/api/conversations",
            "/api/notifications",
            "/api/notifications/unread-count",
            "/api/points/me",
            "/api/points/me/ledger",
            "/api/payments",
            "/api/marketplace/requests",
        ] {
            seen.push((path, who.get(path).await.ok()));
        }
        seen.push(("history", who.get(&format!("/api/conversations/{talk}/messages")).await.ok()));
        seen
    };
    let before = [seen(&of("bob")).await, seen(&of(&life.person.id)).await];
    let url = app.database_url();
    let target = TestApp::with(configure).await;
    let target_url = target.database_url();
    let source = app.restart_after(|_| ()).await;
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("moved.jsonl");
    let source = source
        .restart_after(|data| {
            let lines = verb::exported(data, url.as_deref()).join("\n");
            std::fs::write(&file, lines).expect("a file");
        })
        .await;
    drop(source);
    let target = target
        .restart_after(|data| {
            let file = file.to_str().expect("a name");
            verb::run(data, target_url.as_deref(), &["import", file]).ok();
        })
        .await;
    let after = [seen(&target.person("bob")).await, seen(&life.person.at(&target)).await];
    assert_eq!(after, before);
    // Who has seen all has missed nothing; who has seen less is told so.
    let mut bob = target.user("bob").await;
    let since = |seq: i64| json!({ "conversationId": talk, "since": seq });
    let joined = bob.emit_ack("conversation:join", since(seq)).await;
    assert_eq!((&joined["recovered"], &joined["seq"]), (&json!(true), &json!(seq)), "{joined}");
    let joined = bob.emit_ack("conversation:join", since(seq - 1)).await;
    assert_eq!(joined["recovered"], false, "{joined}");
    let sent =
        bob.emit_ack("message:send", json!({ "conversationId": talk, "content": "on" })).await;
    assert_eq!(sent["success"], true, "{sent}");
    assert_eq!(
        bob.get(&format!("/api/conversations/{talk}/messages?limit=1")).await.ok()["items"][0]["content"],
        "on"
    );
    // She is still signed in, the troll still out.
    let refresh = json!({ "refreshToken": life.refresh_token });
    target.post_with("/api/auth/refresh", &[], &refresh).await.ok();
    let email = "zuleika@example.org";
    let login = json!({ "email": email, "password": "correct horse battery" });
    target.post_with("/api/auth/login", &[], &login).await.ok();
    assert_eq!(target.person("troll").get("/api/conversations").await.status, 403);
}

#[tokio::test]
async fn what_is_kept_of_one_user_is_told_as_they_are_told_it_themselves() {
    let app = TestApp::with(configure).await;
    let life = Life::live(&app).await;
    let user = life.person.id.clone();
    let by_rest = app.get(&format!("/api/users/{user}/export")).await.ok();
    let by_rest = by_rest.as_str().expect("lines").to_owned();
    let url = app.database_url();
    let app = app
        .restart_after(|data| {
            let told = verb::run(data, url.as_deref(), &["export", "--user", &user]).ok();
            assert_eq!(told, by_rest);
            assert!(!told.contains("passwordHash") && !told.contains("$argon2"), "{told}");
        })
        .await;
    drop(app);
}

#[tokio::test]
async fn an_account_without_a_hash_of_ours_is_signed_in_to_once_a_password_is_set() {
    let app = TestApp::with(configure).await;
    let url = app.database_url();
    let mut ada = json!({
        "type": "user", "id": "5f0c", "profile": { "firstName": "Ada" },
        "account": { "email": "Ada@Example.org", "firstName": "Ada", "lastName": "L",
            "roles": ["seller"], "createdAt": "2020-01-01T00:00:00Z" },
    });
    let app = app
        .restart_after(|data| {
            let mut foreign = ada.clone();
            foreign["account"]["passwordHash"] = "$2b$10$abcdefghijklmnopqrstuv".into();
            let complained = verb::import(data, url.as_deref(), &[foreign]).failed();
            assert!(
                complained.contains("/account/passwordHash: is no Argon2 hash"),
                "{complained}"
            );
            verb::import(data, url.as_deref(), &[ada.clone()]).ok();
            ada["profile"] = Value::Null;
            let said = verb::import(data, url.as_deref(), &[ada.clone()]).ok();
            assert_eq!(verb::in_all(&said), "1 lines: 0 written, 1 were there already.");
        })
        .await;
    let login = |password: &str| json!({ "email": "ada@example.org", "password": password });
    let refused = app.post_with("/api/auth/login", &[], &login("correct horse battery")).await;
    assert_eq!(refused.status, 401);
    let reset = app.post("/api/auth/password-resets", json!({ "email": "ada@example.org" })).await;
    let reset = reset.created();
    let new = json!({ "resetToken": reset["resetToken"], "newPassword": "correct horse battery" });
    assert_eq!(app.post_with("/api/auth/password", &[], &new).await.status, 204);
    let signed_in =
        app.post_with("/api/auth/login", &[], &login("correct horse battery")).await.ok();
    assert_eq!(signed_in["user"]["id"], "5f0c");
}
