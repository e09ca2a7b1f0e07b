//! A server that goes away and comes back.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};
use stoa::{
    clock::Clock,
    db::{Db, Tx},
    error::Code,
};

use super::engine::{IN_TIME, Store, happened, in_time};
use crate::support::{Options, TestApp, app::API_KEY, eventually, http_client, postgres::Postgres};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_and_comes_back_is_found_again() {
    let mut server = Postgres::new();
    let store = Store::open(Some(server.database().await), Clock::system()).await;
    let say = async |tx: &mut Tx<'_>| {
        tx.announce(happened("c1", 1));
        Ok(())
    };
    store.db.write(say).await.expect("a unit");
    server.stop();
    let error = store.db.write(say).await.expect_err("nobody is there");
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    assert!(error.retry_after().is_some());
    store.becomes(false).await;
    server.start();
    store.becomes(true).await;
    store.db.write(say).await.expect("a unit");
    let numbers: Vec<_> = store.sent().into_iter().map(|(_, seq, _)| seq).collect();
    assert_eq!(numbers, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_its_store_is_not_ready() {
    let mut server = Postgres::new();
    let url = server.database().await;
    let app = TestApp::with(|config| config.database.url = Some(url.into())).await;
    let becomes = async |status: u16| {
        app.until("/readyz", IN_TIME, "readiness", |answer| answer.status == status).await.body
    };
    becomes(200).await;
    server.stop();
    let gone = becomes(503).await;
    assert_eq!(gone, json!({"status": "unavailable", "failing": ["store"]}));
    let export = app.get("/api/users/ann/export").await;
    assert_eq!(export.problem(503), "unavailable");
    assert!(export.headers.contains_key("retry-after"));
    server.start();
    becomes(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_at_the_start_is_waited_for() {
    let mut server = Postgres::new();
    let url = server.database().await;
    server.stop();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = port.local_addr().expect("its address");
    drop(port);
    let starting = TestApp::with(move |config| {
        config.database.url = Some(url.into());
        config.server.port = address.port();
    });
    let http = http_client();
    let status = async |path: &str| {
        let answer = http.get(format!("http://{address}{path}")).send().await.ok()?;
        Some((answer.status().as_u16(), answer.headers().contains_key("retry-after")))
    };
    let becomes = async |code: u16| {
        let now = async || status("/readyz").await.filter(|(now, _)| *now == code);
        in_time(eventually(now)).await;
    };
    let meanwhile = async {
        becomes(503).await;
        assert_eq!(status("/livez").await, Some((200, false)));
        assert_eq!(status("/api/conversations").await, Some((503, true)));
        assert_eq!(status("/socket.io/?EIO=4&transport=polling").await, Some((503, true)));
        let door = format!("http://{address}/socket.io/?EIO=4&transport=polling");
        for (method, code) in [(Method::GET, 503), (Method::POST, 503), (Method::OPTIONS, 204)] {
            let request = http.request(method, &door).header("origin", "http://localhost:3000");
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), code);
            let headers = answer.headers().clone();
            assert_eq!(headers["access-control-allow-origin"], "http://localhost:3000");
            if code == 503 {
                assert!(headers.contains_key("retry-after"));
                let said: serde_json::Value = answer.json().await.expect("JSON");
                assert_eq!(said["message"], "The store is not available; try again.", "{said}");
            }
        }
        let foreign = http.get(&door).header("origin", "https://evil.example").send().await;
        let foreign = foreign.expect("an answer");
        assert!(!foreign.headers().contains_key("access-control-allow-origin"));
        server.start();
        becomes(200).await;
    };
    let (app, ()) = tokio::join!(starting, meanwhile);
    app.user("alice").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_answer_while_it_is_opened_may_come_yet() {
    let server = Postgres::shared();
    let url = server.database().await;
    let store = Store::open(Some(url.clone()), Clock::system()).await;
    let mut other = PgConnection::connect(&url).await.expect("a connection");
    let mut holds = other.begin().await.expect("a transaction");
    holds.execute("LOCK TABLE restores IN ACCESS EXCLUSIVE MODE").await.expect("a lock");
    for (read, lock) in [(200, 5000), (5000, 200)] {
        let mut config = store.config.clone();
        config.read_timeout = Duration::from_millis(read);
        config.lock_timeout = Duration::from_millis(lock);
        let opened = Db::open(&config, store.folder.path(), Clock::system(), Duration::ZERO).await;
        let error = opened.err().expect("no answer");
        assert!(Db::is_away(&config, &error), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_takes_nothing_away_is_taken_while_the_store_is_away() {
    let mut server = Postgres::new();
    let url = server.database().await;
    let app = TestApp::with(|config| {
        config.database.url = Some(url.into());
        config.limits.enabled = false;
    })
    .await;
    let grant = "/api/rooms/conversation:x1/members/alice";
    let granted = app.request(reqwest::Method::PUT, grant, Some(API_KEY), None).await;
    assert_eq!(granted.status, 204);
    let mut alice = app.user_with("alice", &["seller"], Options::websocket()).await;
    for (event, id) in [("conversation:join", "x1"), ("join-seller-room", "alice")] {
        assert_eq!(alice.emit_ack(event, id).await["success"], true, "{event}");
    }
    let mut refresh = async |roles: &[&str]| {
        let token = app.token("alice", roles);
        alice.emit_ack("auth:refresh", json!({ "token": token })).await
    };
    server.stop();
    let same = refresh(&["seller"]).await;
    assert_eq!((&same["success"], &same["leftRooms"]), (&json!(true), &json!([])), "{same}");
    let fewer = refresh(&["buyer"]).await;
    assert_eq!((&fewer["success"], &fewer["code"]), (&json!(false), &json!("unavailable")));
    server.start();
    // What was refused changed nothing, and nothing keeps it from being asked again.
    let again = async || Some(refresh(&["buyer"]).await).filter(|ack| ack["code"] != "unavailable");
    let again = in_time(eventually(again)).await;
    assert_eq!(again["leftRooms"], json!(["seller-alice", "sellers"]), "{again}");
}
