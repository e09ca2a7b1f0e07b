//! Signing up.

use futures_util::future::join_all;
use serde_json::{Value, json};
use stoa::config::RatePerMinute;

use super::{details, login, post, register, start, try_login, with};
use crate::support::{Options, TestApp, raw};

#[tokio::test]
async fn who_registers_is_signed_in_and_their_token_works_everywhere() {
    let app = start().await;
    let ada = register(&app, " Ada@Example.org ").await;
    let user = &ada.body["user"];
    assert_eq!(user["id"], user["_id"]);
    assert_eq!(user["email"], "ada@example.org");
    assert_eq!((&user["firstName"], &user["lastName"]), (&json!("Ada"), &json!("Lovelace")));
    assert_eq!(user["roles"], json!(["user"]));
    assert!(ada.text("expiresAt").ends_with('Z'));

    let me = ada.get(&app, "/api/auth/me").await;
    assert_eq!(me.headers["cache-control"], "no-store");
    assert_eq!(me.ok(), json!({ "user": user }));
    let people = json!({ "participantIds": ["bob"] });
    let made = ada.post(&app, "/api/conversations", people).await;
    assert_eq!(made.status, 201);
    let made = made.body["conversation"].clone();
    let own =
        made["participants"].as_array().expect("people").iter().find(|p| p["id"] == *ada.id());
    assert_eq!(own.expect("ada")["firstName"], "Ada", "{made}");
    let mut socket = ada.socket(&app, Options::websocket()).await;
    let joined = socket.emit_ack("join-user-room", ada.id()).await;
    assert_eq!(joined["success"], true, "{joined}");
    let joined = socket.emit_ack("join-seller-room", ada.id()).await;
    assert_eq!(joined["code"], "forbidden", "{joined}");
}

#[tokio::test]
async fn who_registers_is_known_by_name_before_they_act() {
    let app = start().await;
    let ada = register(&app, "ada@example.org").await;
    let people = json!({ "participantIds": [ada.id()] });
    let ann = app.person("ann");
    let path = "/api/conversations";
    let made = ann.post(path, people).await.ok();
    let people = made["conversation"]["participants"].as_array().expect("people");
    let shown = people.iter().find(|person| person["id"] == *ada.id()).expect("ada");
    assert_eq!((&shown["firstName"], &shown["lastName"]), (&json!("Ada"), &json!("Lovelace")));
    let path = format!("/api/users/{}", ada.id());
    assert_eq!(app.get(&path).await.ok()["email"], "ada@example.org");
    let stranger = ann.get(&path).await.ok();
    assert_eq!(stranger["email"], Value::Null);
}

#[tokio::test]
async fn an_address_is_one_account_however_it_is_written_and_however_many_register_at_once() {
    let app = start().await;
    let spelt = |n| if n % 2 == 0 { "ada@example.org" } else { "ADA@example.org " };
    let all: Vec<Value> = (0..20).map(|n| details(spelt(n))).collect();
    let answers = join_all(all.iter().map(|body| post(&app, "/api/auth/register", body))).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 1, "{answers:?}");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused.problem(409), "email_taken");
    }
    let ada = login(&app, "ada@example.org").await;
    assert_eq!(ada.body["user"], made[0].body["user"]);
    let again = post(&app, "/api/auth/register", &details("ada@example.org")).await;
    assert_eq!(again.problem(409), "email_taken");
}

async fn with_role(app: &TestApp, email: &str, role: Value) -> (u16, Value) {
    let mut body = details(email);
    body["role"] = role;
    let answer = post(app, "/api/auth/register", &body).await;
    let roles = answer.body["user"]["roles"].clone();
    let status = answer.status.as_u16();
    if status == 422 {
        assert_eq!(answer.problem(422), "invalid_payload");
        assert_eq!(answer.body["errors"][0]["pointer"], "/role", "{answer:?}");
    }
    (status, roles)
}

#[tokio::test]
async fn nobody_gives_themselves_a_role_that_is_not_theirs_to_give() {
    let app = start().await;
    for role in ["admin", "service", "Admin", "ROLE_ADMIN", "seller,admin", "root", ""] {
        let email = format!("{}@example.org", role.len());
        assert_eq!(with_role(&app, &email, json!(role)).await.0, 422, "{role}");
        assert_eq!(try_login(&app, &email, super::PASSWORD).await.status, 401);
    }
    assert_eq!(with_role(&app, "a@example.org", json!(["admin"])).await.0, 422);
    for role in ["user", "buyer", "seller"] {
        let (status, roles) = with_role(&app, &format!("{role}@example.org"), json!(role)).await;
        assert_eq!((status, roles), (201, json!([role])));
    }
    assert_eq!(with_role(&app, "b@example.org", Value::Null).await, (201, json!(["user"])));

    let app = with(|config| {
        config.accounts.self_roles = vec!["buyer".to_owned()];
        config.accounts.default_role = None;
    })
    .await;
    assert_eq!(with_role(&app, "a@example.org", json!("seller")).await.0, 422);
    assert_eq!(with_role(&app, "a@example.org", Value::Null).await, (201, json!([])));
    assert_eq!(with_role(&app, "b@example.org", json!("BUYER")).await, (201, json!(["buyer"])));
    // Who has no role buys and sells.
    let none = login(&app, "a@example.org").await;
    let mut socket = none.socket(&app, Options::websocket()).await;
    assert_eq!(socket.emit_ack("join-seller-room", none.id()).await["success"], true);
}

#[tokio::test]
async fn what_is_no_account_is_refused_field_by_field() {
    let app = start().await;
    for (field, bad) in [
        ("email", json!("ada")),
        ("email", json!("a\u{200b}da@example.org")),
        ("email", json!("caf\u{e9}@example.org")),
        ("email", json!("ada,bob@example.org")),
        ("email", json!("Ada <ada@example.org>")),
        ("email", Value::Null),
        ("password", json!("7 chars")),
        ("password", json!("x".repeat(201))),
        ("firstName", json!("")),
        ("lastName", json!("a\nb")),
        ("referralCode", json!("x".repeat(65))),
        ("roles", json!(["admin"])),
        ("userId", json!("ann")),
    ] {
        let mut body = details("ada@example.org");
        body[field] = bad;
        let answer = post(&app, "/api/auth/register", &body).await;
        assert_eq!(answer.problem(422), "invalid_payload", "{field}");
        assert_eq!(answer.body["errors"][0]["pointer"], format!("/{field}"), "{answer:?}");
    }
    let several = json!({ "email": "ada@b", "password": "short", "firstName": "A", "lastName": "B",
        "referralCode": "" });
    let answer = post(&app, "/api/auth/register", &several).await;
    assert_eq!(answer.body["errors"].as_array().map(Vec::len), Some(2), "{answer:?}");
    for (head, status) in [
        ("Content-Type: text/plain\r\nContent-Length: 2", 415),
        ("Content-Type: application/json\r\nContent-Length: 200000", 413),
    ] {
        let head = format!("POST /api/auth/register HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n");
        assert_eq!(raw::status(app.address(), &head).await, status, "{head}");
    }
}

#[tokio::test]
async fn an_address_makes_so_many_accounts_and_is_told_to_wait() {
    let app = with(|config| {
        config.limits.enabled = true;
        config.limits.registrations = RatePerMinute { per_minute: 1, burst: 3 };
        super::believe_this_machine(config);
    })
    .await;
    let ask = async |n: u32, address: [u8; 4]| {
        let body = details(&format!("ada{n}@example.org"));
        super::post_from(&app, address.into(), "/api/auth/register", &body).await
    };
    for n in 0..3 {
        assert_eq!(ask(n, [192, 0, 2, 1]).await.status, 201);
    }
    let refused = ask(3, [192, 0, 2, 1]).await;
    assert_eq!(refused.problem(429), "rate_limited");
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 50);
    assert_eq!(ask(3, [192, 0, 2, 2]).await.status, 201, "another address");
}

#[tokio::test]
async fn who_registers_with_a_code_is_told_to_whose_it_is_in_all_of_their_tabs() {
    let app = start().await;
    let ada = register(&app, "ada@example.org").await;
    let code = ada.body["user"]["referralCode"].as_str().expect("a code").to_owned();
    let mut tabs = [
        ada.socket(&app, Options::websocket()).await,
        ada.socket(&app, Options::polling().namespace("/marketplace")).await,
    ];
    let mut body = details("bob@example.org");
    body["referralCode"] = json!("nobody's");
    let refused = post(&app, "/api/auth/register", &body).await;
    assert_eq!(refused.problem(422), "invalid_payload");
    assert_eq!(refused.body["errors"][0]["pointer"], "/referralCode");
    body["referralCode"] = json!(code);
    let bob = post(&app, "/api/auth/register", &body).await.ok();
    assert_ne!(bob["user"]["referralCode"], json!(code));
    for tab in &mut tabs {
        let told = tab.expect("referral-signup").await;
        assert_eq!(told["referredUserId"], bob["user"]["id"]);
        assert_eq!(told["name"], "Ada Lovelace");
    }
    let again = login(&app, "ada@example.org").await;
    assert_eq!(again.body["user"]["referralCode"], json!(code));
    // An address that is taken brings nobody.
    assert_eq!(post(&app, "/api/auth/register", &body).await.problem(409), "email_taken");
    body["email"] = json!("cat@example.org");
    let cat = post(&app, "/api/auth/register", &body).await.ok();
    for tab in &mut tabs {
        assert_eq!(tab.expect("referral-signup").await["referredUserId"], cat["user"]["id"]);
    }
}

#[tokio::test]
async fn an_idempotency_key_changes_nothing_so_that_no_answer_with_a_token_is_kept() {
    let app = start().await;
    register(&app, "ada@example.org").await;
    let login = super::credentials("ada@example.org", super::PASSWORD);
    let key = [("idempotency-key", "k1")];
    let one = app.post_with("/api/auth/login", &key, &login).await.ok();
    let two = app.post_with("/api/auth/login", &key, &login).await;
    assert!(!two.headers.contains_key("idempotency-replayed"));
    assert_ne!(two.ok()["refreshToken"], one["refreshToken"]);
}

#[tokio::test]
async fn a_role_that_nobody_gives_themselves_is_told_with_what_else_is_wrong() {
    let app = start().await;
    let mut body = details("ada@example.org");
    (body["password"], body["role"]) = (json!("short"), json!("admin"));
    let answer = post(&app, "/api/auth/register", &body).await;
    assert_eq!(answer.problem(422), "invalid_payload");
    let errors = answer.body["errors"].as_array().expect("fields");
    let pointers: Vec<_> = errors.iter().map(|error| &error["pointer"]).collect();
    assert_eq!(pointers, ["/password", "/role"], "{answer:?}");
    body["password"] = json!(super::PASSWORD);
    body["role"] = json!("x".repeat(33));
    let answer = post(&app, "/api/auth/register", &body).await;
    assert_eq!(answer.body["errors"].as_array().map(Vec::len), Some(1), "{answer:?}");
}
