//! What needs a handler of the test's own: one that waits, one that fails.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use axum::{Router, body::to_bytes, middleware::from_fn_with_state, routing::post};
use tempfile::TempDir;
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::{
    kept::MAX_ANSWER,
    store::{KEPT_FOR, LEFT_FOR},
    *,
};
use crate::{
    clock::{Clock, Timestamp},
    config::Config,
    id::Id,
    rest::problem,
};

/// A server whose only handler takes the body for its order.
struct Server {
    router: Router,
    token: String,
    clock: Clock,
    db: Db,
    calls: Arc<AtomicU32>,
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
    _data: TempDir,
}

impl Server {
    async fn start() -> Self {
        let data = TempDir::new().unwrap();
        let config = Config::for_tests();
        let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
        let db =
            Db::open(&config.database, data.path(), clock.clone(), Duration::ZERO).await.unwrap();
        let authenticator =
            Authenticator::new(&config.auth, config.origin_policy().unwrap(), clock.clone())
                .unwrap();
        let secret = config.auth.jwt_secret.clone().unwrap();
        let minter = crate::auth::Minter::new(&secret, None, None).unwrap();
        let life = Duration::from_hours(100);
        let roles = crate::auth::Roles::default();
        let token = crate::auth::NewToken::new(Id::new("alice").unwrap(), roles, life);
        let token = minter.mint(&token, clock.now()).unwrap();
        let calls = Arc::new(AtomicU32::new(0));
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (calls, begun, go_on) = (calls.clone(), begun.clone(), go_on.clone());
            let db = db.clone();
            async move |order: String| {
                let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
                match order.as_str() {
                    "wait" => {
                        begun.notify_one();
                        go_on.notified().await;
                    }
                    "write and wait" => {
                        let write = db.write(async move |_| Ok(call));
                        let render = |call| (StatusCode::CREATED, format!("call {call}"));
                        let answer = answer(write, render).await;
                        begun.notify_one();
                        go_on.notified().await;
                        return answer.into_response();
                    }
                    "wait and write" => {
                        begun.notify_one();
                        go_on.notified().await;
                        let written = db.write(async |_| Ok(())).await;
                        return written.map(|()| "written").into_response();
                    }
                    "fail" => return Error::internal("it failed").into_response(),
                    "panic" => panic!("it panicked"),
                    "large" => return "x".repeat(MAX_ANSWER + 1).into_response(),
                    _ => {}
                }
                (StatusCode::CREATED, format!("call {call}")).into_response()
            }
        };
        let idempotency = Idempotency::start(db.clone(), authenticator).await.unwrap();
        let router = Router::new()
            .route("/api/things", post(handler.clone()))
            .route("/api/auth/login", post(handler.clone()))
            .route("/api/webhooks/x", post(handler))
            .route_layer(from_fn_with_state(idempotency, layer))
            .layer(axum::middleware::from_fn(problem::layer));
        Self { router, token, clock, db, calls, begun, go_on, _data: data }
    }

    async fn post(&self, path: &str, key: &str, order: &str) -> (u16, String) {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {}", self.token))
            .header("idempotency-key", key)
            .body(Body::from(order.to_owned()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn order(&self, key: &str, order: &str) -> (u16, String) {
        self.post("/api/things", key, order).await
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn while_the_first_still_runs_the_next_is_told_to_wait() {
    let server = Server::start().await;
    let first = server.order("k", "wait");
    let second = async {
        server.begun.notified().await;
        let second = server.order("k", "wait").await;
        let other = server.order("k", "other").await;
        server.go_on.notify_one();
        (second, other)
    };
    let (first, (second, other)) = tokio::join!(first, second);
    assert_eq!((second.0, other.0), (409, 422), "{second:?} {other:?}");
    assert_eq!(first, (201, "call 1".to_owned()));
    assert_eq!(server.order("k", "wait").await, first);
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn who_hangs_up_finds_the_answer_later() {
    let server = Server::start().await;
    tokio::select! {
        _ = server.order("k", "wait") => panic!("it was to wait"),
        () = server.begun.notified() => {}
    }
    assert_eq!(server.order("k", "wait").await.0, 409);
    server.go_on.notify_one();
    let mut again = tokio::time::interval(Duration::from_millis(5));
    let answer = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            again.tick().await;
            let answer = server.order("k", "wait").await;
            if answer.0 != 409 {
                return answer;
            }
        }
    });
    assert_eq!(answer.await.unwrap(), (201, "call 1".to_owned()));
}

#[tokio::test]
async fn a_failure_of_ours_is_not_kept() {
    let server = Server::start().await;
    for (order, calls) in [("fail", 1), ("fail", 2)] {
        assert_eq!(server.order("k", order).await.0, 500);
        assert_eq!(server.calls(), calls);
    }
    for calls in [3, 4] {
        assert_eq!(server.order("p", "panic").await.0, 500);
        assert_eq!(server.calls(), calls);
    }
    assert_eq!(server.order("k", "do").await, (201, "call 5".to_owned()));
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_given_twice() {
    let server = Server::start().await;
    assert_eq!(server.order("k", "large").await.0, 200);
    assert_eq!(server.order("k", "large").await.0, 409);
    assert_eq!(server.calls(), 1);
}

fn request_hash_of_alice() -> Vec<u8> {
    key::request_hash(&["token", "alice", ""], &Method::POST, "/api/things", "k")
}

#[tokio::test]
async fn what_was_lost_is_free_after_a_moment_and_with_a_start() {
    let server = Server::start().await;
    let hash = Sha256::digest("do").to_vec();
    let claim = store::claim(&server.db, request_hash_of_alice(), hash.clone()).await.unwrap();
    let Claim::Run(lost) = claim else { panic!("it was free") };
    assert_eq!(server.order("k", "do").await.0, 409);
    server.clock.advance(LEFT_FOR);
    assert_eq!(server.order("k", "other").await.0, 422);
    let answer = server.order("k", "do").await;
    assert_eq!(answer, (201, "call 1".to_owned()));
    let late = Answer {
        status: StatusCode::OK,
        content_type: None,
        body: Some("late".into()),
        subject: None,
    };
    store::finish(&server.db, &lost, late).await.unwrap();
    store::release(&server.db, &lost).await.unwrap();
    assert_eq!(server.order("k", "do").await, answer, "the lost one has no say any more");

    let other = || vec![7; 32];
    assert!(matches!(store::claim(&server.db, other(), hash.clone()).await, Ok(Claim::Run(_))));
    assert_eq!(store::release_all(&server.db).await.unwrap(), 1);
    let claim = store::claim(&server.db, other(), hash.clone()).await.unwrap();
    let Claim::Run(claimed) = claim else { panic!("it was given back") };
    assert_eq!(server.order("k", "do").await, answer, "answers stay");

    // Whose commit seemed to fail, and did not.
    let kept = Answer {
        status: StatusCode::OK,
        content_type: None,
        body: Some("kept".into()),
        subject: None,
    };
    store::finish(&server.db, &claimed, kept.clone()).await.unwrap();
    store::release(&server.db, &claimed).await.unwrap();
    assert_eq!(store::claim(&server.db, other(), hash).await.unwrap(), Claim::Done(kept));
}

#[tokio::test]
async fn a_place_from_before_the_clock_was_set_back_is_free() {
    let server = Server::start().await;
    let hash = Sha256::digest("do").to_vec();
    let claim = store::claim(&server.db, request_hash_of_alice(), hash).await.unwrap();
    assert!(matches!(claim, Claim::Run(_)), "{claim:?}");
    let later = async |by: i64| {
        let set =
            "UPDATE idempotency_keys SET held_at = held_at + $1, started_at = started_at + $1";
        server.db.write(async move |tx| Ok(tx.execute(set, &crate::params![by]).await?)).await
    };
    later(1000).await.unwrap();
    assert_eq!(server.order("k", "do").await.0, 409, "clocks are read one after the other");
    later(3_600_000).await.unwrap();
    assert_eq!(server.order("k", "do").await, (201, "call 1".to_owned()));
}

#[tokio::test]
async fn an_answer_is_kept_with_the_work() {
    let server = Server::start().await;
    let first = server.order("k", "write and wait");
    let another_process = async {
        server.begun.notified().await;
        server.clock.advance(LEFT_FOR);
        let hash = Sha256::digest("write and wait").to_vec();
        let claim = store::claim(&server.db, request_hash_of_alice(), hash).await.unwrap();
        server.go_on.notify_one();
        claim
    };
    let ((status, body), claim) = tokio::join!(first, another_process);
    let Claim::Done(answer) = claim else { panic!("{claim:?}") };
    assert_eq!((status, body.as_str()), (201, "call 1"));
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.body.as_deref(), Some(body.as_bytes()));
    assert_eq!(server.order("k", "write and wait").await, (201, body));
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn what_another_process_took_over_is_not_done_here() {
    let server = Server::start().await;
    let first = server.order("k", "wait and write");
    let another_process = async {
        server.begun.notified().await;
        server.clock.advance(LEFT_FOR);
        let hash = Sha256::digest("wait and write").to_vec();
        let claim = store::claim(&server.db, request_hash_of_alice(), hash).await.unwrap();
        server.go_on.notify_one();
        claim
    };
    let (first, claim) = tokio::join!(first, another_process);
    assert!(matches!(claim, Claim::Run(_)), "{claim:?}");
    assert_eq!(first.0, 409, "{first:?}");
}

#[tokio::test]
async fn old_answers_are_given_up() {
    let server = Server::start().await;
    server.order("k", "do").await;
    assert!(!store::prune(&server.db).await.unwrap());
    server.clock.advance(KEPT_FOR);
    assert!(store::prune(&server.db).await.unwrap());
    assert!(!store::prune(&server.db).await.unwrap());
}

#[tokio::test]
async fn webhooks_and_what_answers_with_tokens_are_left_alone() {
    let server = Server::start().await;
    for path in ["/api/webhooks/x", "/api/auth/login"] {
        for _ in 0..2 {
            assert_eq!(server.post(path, "k", "do").await.0, 201);
        }
    }
    assert_eq!(server.calls(), 4);
}
