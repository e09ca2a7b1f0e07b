//! What is asked about the token that a caller shows: who they are, and its end.

use reqwest::Method;
use serde_json::json;

use super::{SignedIn, expect_revoked, login, register, start, try_refresh};
use crate::support::{Options, TestApp, app::API_KEY};

#[tokio::test]
async fn who_logs_out_is_out_with_what_they_signed_in_to_and_nothing_else() {
    let app = start().await;
    let ada = register(&app, "ada@example.org").await;
    let other = login(&app, "ada@example.org").await;
    let mut sockets =
        [ada.socket(&app, Options::websocket()).await, ada.socket(&app, Options::polling()).await];
    let mut stays = other.socket(&app, Options::websocket()).await;
    let out = ada.post(&app, "/api/auth/logout", json!({})).await;
    assert_eq!(
        (out.status.as_u16(), &out.headers["cache-control"]),
        (204, &"no-store".parse().unwrap())
    );
    for socket in &mut sockets {
        expect_revoked(socket).await;
    }
    assert!(!ada.is_in(&app).await);
    assert_eq!(try_refresh(&app, ada.refresh()).await.problem(401), "refresh_token_invalid");
    let again = ada.post(&app, "/api/auth/logout", json!({})).await;
    assert_eq!(again.problem(401), "token_revoked");
    assert_eq!(stays.emit_ack("join-user-room", other.id()).await["success"], true);
    assert!(other.is_in(&app).await);
    assert_eq!(try_refresh(&app, other.refresh()).await.status, 200);
    let app = app.restart().await;
    assert!(!ada.is_in(&app).await && other.is_in(&app).await);
}

#[tokio::test]
async fn who_signs_out_ends_every_token_of_their_sign_in() {
    let app = start().await;
    let first = register(&app, "ada@example.org").await;
    let next = SignedIn::of(try_refresh(&app, first.refresh()).await);
    assert!(first.is_in(&app).await, "until it ends by itself");
    assert_eq!(next.post(&app, "/api/auth/logout", json!({})).await.status, 204);
    assert!(!next.is_in(&app).await && !first.is_in(&app).await);
}

async fn log_out(app: &TestApp, token: &str) -> crate::support::app::Answer {
    app.bearer("them", token).post_nothing("/api/auth/logout").await
}

#[tokio::test]
async fn a_token_of_another_app_is_ended_alone_whether_it_has_an_id_or_not() {
    let app = start().await;
    let named = app.token_with("ann", json!({ "jti": "one", "sid": "of another app" }));
    let mut socket = app.connect(Options::websocket().token(&named)).await.unwrap();
    let other = app.token_with("ann", json!({ "jti": "two", "sid": "of another app" }));
    assert_eq!(log_out(&app, &named).await.status, 204);
    expect_revoked(&mut socket).await;
    assert_eq!(log_out(&app, &named).await.problem(401), "token_revoked");
    let same_id = app.token_with("bob", json!({ "jti": "one" }));
    let bare = app.token("ann", &[]);
    for (bare, left) in [
        (bare.clone(), vec![&other, &same_id]),
        (app.token_with("ann", json!({ "sid": "of another app" })), vec![&other, &same_id]),
    ] {
        let mut socket = app.connect(Options::websocket().token(&bare)).await.unwrap();
        assert_eq!(log_out(&app, &bare).await.status, 204);
        expect_revoked(&mut socket).await;
        assert_eq!(log_out(&app, &bare).await.problem(401), "token_revoked");
        for stays in left {
            let me = app.bearer("them", stays).get("/api/auth/me").await;
            assert_eq!(me.status, 200);
        }
    }
    let app = app.restart().await;
    assert_eq!(log_out(&app, &bare).await.problem(401), "token_revoked");
    let key = app.request(Method::POST, "/api/auth/logout", Some(API_KEY), None).await;
    assert_eq!(key.problem(409), "conflict");
    let nobody = app.request(Method::POST, "/api/auth/logout", None, None).await;
    assert_eq!(nobody.problem(401), "token_missing");
}

#[tokio::test]
async fn a_sign_in_that_is_another_users_is_not_ended_by_its_name() {
    let app = start().await;
    let ada = register(&app, "ada@example.org").await;
    let claims = ada.access().split('.').nth(1).expect("claims");
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims);
    let claims: serde_json::Value = serde_json::from_slice(&claims.unwrap()).unwrap();
    let theirs = app.token_with("eve", json!({ "jti": "eve", "sid": claims["sid"] }));
    assert_eq!(log_out(&app, &theirs).await.status, 204);
    assert!(ada.is_in(&app).await);
    assert_eq!(try_refresh(&app, ada.refresh()).await.status, 200);
}

#[tokio::test]
async fn who_has_no_account_is_known_by_their_token() {
    let app = start().await;
    let claims = json!({
        "email": "ann@example.org", "firstName": "Ann", "lastName": "Lee", "role": "seller",
    });
    let ann = app.person_with("ann", claims);
    let me = ann.get("/api/auth/me").await.ok();
    let user = &me["user"];
    assert_eq!((&user["id"], &user["_id"]), (&json!("ann"), &json!("ann")));
    assert_eq!((&user["email"], &user["roles"]), (&json!("ann@example.org"), &json!(["seller"])));
    assert_eq!((&user["firstName"], &user["lastName"]), (&json!("Ann"), &json!("Lee")));
    let code = user["referralCode"].as_str().expect("a code");
    let again = ann.get("/api/auth/me").await.ok();
    assert_eq!(again["user"]["referralCode"], code);
    let service = app.get("/api/auth/me").await.ok();
    assert_eq!(service["user"]["referralCode"], serde_json::Value::Null);
    assert_eq!(service["user"]["id"], "service:tests");
    assert_eq!(service["user"]["email"], serde_json::Value::Null);
    let nobody = app.request(Method::GET, "/api/auth/me", None, None).await;
    assert_eq!(nobody.problem(401), "token_missing");
}

#[tokio::test]
async fn who_is_blocked_or_revoked_gets_no_tokens_by_those_they_had() {
    let app = start().await;
    let ada = register(&app, "ada@example.org").await;
    let block = format!("/api/users/{}/block", ada.id());
    assert_eq!(app.post(&block, json!({})).await.status, 204);
    let right = super::try_login(&app, "ada@example.org", super::PASSWORD).await;
    assert_eq!(right.problem(403), "user_blocked");
    // That somebody is blocked is told to nobody else.
    let wrong = super::try_login(&app, "ada@example.org", "wrong horse battery").await;
    assert_eq!(wrong.problem(401), "credentials_invalid");
    assert_eq!(try_refresh(&app, ada.refresh()).await.problem(403), "user_blocked");
    assert_eq!(app.request(Method::DELETE, &block, Some(API_KEY), None).await.status, 204);
    let next = try_refresh(&app, ada.refresh()).await;
    assert_eq!(next.status, 200, "a refusal takes no turn: {next:?}");
    let ada = super::SignedIn::of(next);

    let revoke = json!({ "userId": ada.id() });
    assert_eq!(app.post("/api/auth/revocations", revoke).await.status, 204);
    assert!(!ada.is_in(&app).await);
    assert_eq!(try_refresh(&app, ada.refresh()).await.problem(401), "token_revoked");
    assert!(login(&app, "ada@example.org").await.is_in(&app).await);
}
