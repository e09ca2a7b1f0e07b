//! Chapters about who people are: accounts and tokens, users, and the operators of the server.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use stoa::config::{AccountsMode, Argon2Config, Config, DevelopmentSecret};

use super::{
    chapter::{As, Chapter},
    description::text,
};
use crate::support::{app::API_KEY, eventually, http_client};

const SERVICE: As<'_> = As::Service;

/// People register, with passwords that are cheap to hash.
fn with_accounts(config: &mut Config) {
    config.accounts.mode = AccountsMode::On;
    config.accounts.argon2 = Argon2Config { memory_kib: 64, passes: 1, lanes: 1 };
    config.limits.enabled = false;
}

fn refresh(signed_in: &Value) -> Value {
    json!({ "refreshToken": signed_in["refreshToken"] })
}

#[tokio::test]
async fn the_examples_of_auth_are_what_the_server_says() {
    let mut story = Chapter::begin("auth", with_accounts).await;
    let nobody = As::Nobody;
    let ada = json!({
        "email": "ada@example.org",
        "password": "correct horse battery",
        "firstName": "Ada",
        "lastName": "Lovelace",
        "role": "buyer",
    });
    let registered = story.does(nobody, "register", &[], ada.clone()).await;
    story.is_refused(nobody, "register", &[], ada.clone(), "email_taken").await;
    let login = json!({ "email": "ada@example.org", "password": "correct horse battery" });
    let signed_in = story.does(nobody, "login", &[], login.clone()).await;
    let wrong = json!({ "email": "ada@example.org", "password": "wrong horse" });
    story.is_refused(nobody, "login", &[], wrong, "credentials_invalid").await;
    let access = text(&signed_in["accessToken"]);
    story.does(As::User(&access), "me", &[], None).await;
    let next = story.does(nobody, "refresh", &[], refresh(&registered)).await;
    story.is_refused(nobody, "refresh", &[], refresh(&registered), "refresh_token_reused").await;
    story.is_refused(nobody, "refresh", &[], refresh(&next), "refresh_token_invalid").await;

    let change =
        json!({ "oldPassword": "correct horse battery", "newPassword": "correct horse 2" });
    let mistaken = json!({ "oldPassword": "wrong horse", "newPassword": "correct horse 2" });
    let ada_now = As::User(&access);
    story.is_refused(ada_now, "change_password", &[], mistaken, "password_wrong").await;
    story.does(ada_now, "change_password", &[], change.clone()).await;
    let other = story.token("bob", ["Bob", "Stone"], &["seller"]);
    let bob = As::User(&other);
    story.is_refused(bob, "change_password", &[], change.clone(), "no_account").await;
    let asked = json!({ "email": "ada@example.org" });
    let reset = story.does(SERVICE, "ask_reset", &[], asked.clone()).await;
    let set = json!({ "resetToken": reset["resetToken"], "newPassword": "correct horse 3" });
    story.does(nobody, "change_password", &[], set.clone()).await;
    story.is_refused(nobody, "change_password", &[], set, "reset_token_invalid").await;

    let login = json!({ "email": "ada@example.org", "password": "correct horse 3" });
    let signed_in = story.does(nobody, "login", &[], login.clone()).await;
    let access = text(&signed_in["accessToken"]);
    story.does(As::User(&access), "logout", &[], None).await;
    story.is_refused(SERVICE, "logout", &[], None, "conflict").await;

    let mint = json!({
        "userId": "ann",
        "roles": ["buyer"],
        "rooms": ["project-7"],
        "ttlSeconds": 3600,
    });
    story.does(SERVICE, "mint_token", &[], mint.clone()).await;
    let signed_in = story.does(nobody, "login", &[], login.clone()).await;
    let user = text(&signed_in["user"]["id"]);
    story.does(SERVICE, "revoke_tokens", &[], json!({ "userId": user })).await;
    story.is_refused(nobody, "refresh", &[], refresh(&signed_in), "token_revoked").await;
    let signed_in = story.does(nobody, "login", &[], login.clone()).await;
    for user in [&*user, "ann"] {
        story.does(SERVICE, "block_user", &[user], None).await;
    }
    story.is_refused(nobody, "login", &[], login.clone(), "user_blocked").await;
    story.is_refused(nobody, "refresh", &[], refresh(&signed_in), "user_blocked").await;
    story.is_refused(SERVICE, "mint_token", &[], mint.clone(), "conflict").await;

    story
        .elsewhere(|config| {
            config.accounts.mode = AccountsMode::Off;
            config.auth.jwt_secret = None;
            config.auth.jwt_public_key = Some(include_str!("../keys/ed25519.pub.pem").to_owned());
        })
        .await;
    story.is_refused(SERVICE, "mint_token", &[], mint, "no_signing_key").await;
    for (who, operation, body) in [
        (nobody, "register", ada),
        (nobody, "login", login),
        (nobody, "refresh", json!({ "refreshToken": "x" })),
        (nobody, "change_password", change),
        (SERVICE, "ask_reset", asked),
    ] {
        story.is_refused(who, operation, &[], body, "accounts_off").await;
    }
    story.end("Auth");
}

#[tokio::test]
async fn the_examples_of_users_are_what_the_server_says() {
    let mut story = Chapter::begin("users", |_| {}).await;
    let profile = json!({
        "firstName": "Ann",
        "lastName": "Lee",
        "avatarUrl": "https://files.example.com/ann.jpg",
        "email": "ann@example.org",
        "roles": ["buyer"],
    });
    story.does(SERVICE, "put_user", &["ann"], profile).await;
    let reason = json!({ "until": "2025-12-01T00:00:00.000Z", "reason": "Spam" });
    story.does(SERVICE, "block_user", &["ann"], reason).await;
    story.does(SERVICE, "get_user", &["ann"], None).await;
    story.is_refused(SERVICE, "get_user", &["bob"], None, "not_found").await;
    story.does(SERVICE, "unblock_user", &["ann"], None).await;
    let ann = story.app.user("ann").await;
    let reason = json!({ "reason": "A new version" });
    story.does(SERVICE, "disconnect_user", &["ann"], reason).await;
    drop(ann);
    let award =
        json!({ "userId": "ann", "points": 120, "reason": "A purchase", "reference": "order-1" });
    story.app.post("/api/points/awards", award).await.ok();
    story.does(SERVICE, "export_user", &["ann"], None).await;
    // They will not be erased before that can be read.
    story.app.execute("UPDATE events SET wire = '?' WHERE wire <> ''").await;
    story.does(SERVICE, "erase_user", &["ann"], None).await;
    story.is_refused(SERVICE, "export_user", &["ann"], None, "conflict").await;
    story.end("Users");
}

/// Listens to events, and is refused where too many do.
async fn watch_events(story: &mut Chapter) {
    let url = format!("http://{}/api", story.app.address());
    let tail = format!("{url}/tail");
    let service = |request: reqwest::RequestBuilder| request.header("x-api-key", API_KEY);
    let mut listeners = Vec::new();
    for _ in 0..16 {
        let listener = service(http_client().get(&tail)).send().await;
        listeners.push(listener.expect("an answer"));
    }
    story.is_refused(SERVICE, "tail", &[], None, "too_many_listeners").await;
    drop(listeners);
    let emit = json!({ "to": { "user": "ann" }, "event": "tick", "data": 1, "volatile": true });
    let emit = move || service(http_client().post(format!("{url}/emit")).json(&emit)).send();
    let ticks = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(50));
        loop {
            every.tick().await;
            emit().await.expect("an answer");
        }
    });
    eventually(async || {
        let answer = service(http_client().get(&tail)).send().await;
        answer.is_ok_and(|answer| answer.status() == 200).then_some(())
    })
    .await;
    story.does(SERVICE, "tail", &["event=tick&limit=1"], None).await;
    ticks.abort();
}

#[tokio::test]
async fn the_examples_of_operations_are_what_the_server_says() {
    let mut story = Chapter::begin("operations", |config| {
        let path = config.data.join("jwt-secret");
        config.development_secret = Some(DevelopmentSecret { path, made: false });
    })
    .await;
    story.does(SERVICE, "status", &[], None).await;
    story.does(SERVICE, "metrics", &[], None).await;
    let emit = json!({ "to": { "user": "ann" }, "event": "news", "data": 1 });
    assert_eq!(story.app.post("/api/emit", emit).await.status, 202);
    story.does(SERVICE, "why", &["user=ann&event=user/ann:1"], None).await;
    let none = ["user=ann&event=user/ann:2"];
    story.is_refused(SERVICE, "why", &none, None, "event_not_kept").await;
    story.does(SERVICE, "history", &[], None).await;
    watch_events(&mut story).await;
    story.does(SERVICE, "list_nodes", &[], None).await;
    story.does(SERVICE, "store_tables", &[], None).await;
    let wrong = json!({ "code": "0000000000000000" });
    story.is_refused(As::Nobody, "console_login", &[], wrong.clone(), "forbidden").await;
    let code = story.app.login_code().expect("a code").to_owned();
    story.shows(&code, "a6c9f2b21e2a204f");
    story.does(As::Nobody, "console_login", &[], json!({ "code": code })).await;
    story.is_refused(As::Nobody, "console_login", &[], wrong, "not_found").await;
    story.end("Operations");
}

/// No file of examples is left over.
#[test]
fn every_file_of_examples_has_a_chapter() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/app/examples");
    let files = std::fs::read_dir(folder).expect("the examples");
    let names = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let expected = [
        "auth",
        "chat",
        "emit",
        "marketplace",
        "notifications",
        "operations",
        "payments",
        "points",
        "presence",
        "users",
        "webhooks",
    ];
    let expected: BTreeSet<_> = expected.map(|name| format!("{name}.json")).into();
    assert_eq!(names.collect::<BTreeSet<_>>(), expected);
}
