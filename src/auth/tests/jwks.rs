//! JWK sets, from a file and from a real server on the loopback interface.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use jsonwebtoken::Algorithm;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::auth::{Identity, TokenError, Verifier};

/// A server of a JWK set that tests change as it runs.
#[derive(Clone)]
struct Provider {
    answer: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
    hangs: Arc<AtomicBool>,
    url: String,
}

impl Provider {
    async fn start(keys: &[Value]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            answer: Arc::default(),
            asked: Arc::default(),
            hangs: Arc::default(),
            url: format!("http://{}/jwks.json", listener.local_addr().unwrap()),
        };
        provider.publish(keys);
        let answer = |State(provider): State<Self>| async move {
            provider.asked.fetch_add(1, Ordering::SeqCst);
            if provider.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            provider.answer.lock().clone()
        };
        let router = Router::new().route("/jwks.json", get(answer)).with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    fn publish(&self, keys: &[Value]) {
        self.answer(StatusCode::OK, json!({ "keys": keys }).to_string());
    }

    fn answer(&self, status: StatusCode, body: impl Into<String>) {
        *self.answer.lock() = (status, body.into());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn settings(&self) -> AuthConfig {
        AuthConfig { jwt_jwks: Some(self.url.clone()), ..settings() }
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn key(kid: &str, key: &EncodingKey) -> Value {
    jwk(Algorithm::EdDSA, key, &json!({"kid": kid, "alg": "EdDSA", "use": "sig"}))
}

fn old_key() -> Value {
    key("old", &ed25519())
}

fn new_key() -> Value {
    key("new", &ed25519_next())
}

fn old_token() -> String {
    sign(Algorithm::EdDSA, &ed25519(), Some("old"), &alice())
}

fn new_token() -> String {
    sign(Algorithm::EdDSA, &ed25519_next(), Some("new"), &alice())
}

#[tokio::test]
async fn keys_without_an_algorithm_are_for_that_of_their_type() {
    let provider = Provider::start(&[
        jwk(Algorithm::RS256, &rsa(), &json!({"kid": "r"})),
        jwk(Algorithm::ES256, &p256(), &json!({"kid": "e"})),
        jwk(Algorithm::EdDSA, &ed25519(), &json!({"kid": "d"})),
    ])
    .await;
    let verifier = Verifier::new(&provider.settings(), clock()).unwrap();
    for (algorithm, key, kid) in [
        (Algorithm::RS256, rsa(), "r"),
        (Algorithm::ES256, p256(), "e"),
        (Algorithm::EdDSA, ed25519(), "d"),
    ] {
        let named = sign(algorithm, &key, Some(kid), &alice());
        assert!(verifier.verify(&named).await.is_ok(), "{algorithm:?}");
        let unnamed = sign(algorithm, &key, None, &alice());
        assert!(verifier.verify(&unnamed).await.is_ok(), "{algorithm:?}");
    }
    let crossed = sign(Algorithm::EdDSA, &ed25519(), Some("r"), &alice());
    assert_eq!(verifier.verify(&crossed).await, Err(TokenError::Algorithm));
    let forged = sign(Algorithm::EdDSA, &ed25519_next(), Some("d"), &alice());
    assert_eq!(verifier.verify(&forged).await, Err(TokenError::Signature));
    assert_eq!(verifier.verify(&hs256(&alice())).await, Err(TokenError::Algorithm));
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn keys_that_are_not_for_verifying_tokens_are_left_out() {
    let unusable = [
        jwk(Algorithm::EdDSA, &ed25519(), &json!({"use": "enc"})),
        jwk(Algorithm::EdDSA, &ed25519(), &json!({"key_ops": ["encrypt"]})),
        jwk(Algorithm::EdDSA, &ed25519(), &json!({"alg": "RS256"})),
        jwk(Algorithm::EdDSA, &ed25519(), &json!({"d": "AAAA"})),
        jwk(Algorithm::EdDSA, &ed25519(), &json!({"crv": "X25519"})),
        jwk(Algorithm::EdDSA, &ed25519(), &json!({"x": "AAAA"})),
        jwk(Algorithm::EdDSA, &ed25519(), &json!({"x": 7})),
        jwk(Algorithm::ES256, &p256(), &json!({"crv": "P-384"})),
        jwk(Algorithm::ES256, &p256(), &json!({"y": "AAAA"})),
        jwk(Algorithm::RS256, &rsa(), &json!({"alg": "RS512"})),
        jwk(Algorithm::RS256, &rsa(), &json!({"n": "AQAB"})),
        json!({"kty": "oct", "k": "AAAA", "alg": "HS256"}),
        json!("not a key"),
    ];
    let provider = Provider::start(&unusable).await;
    let verifier = Verifier::new(&provider.settings(), clock()).unwrap();
    for (algorithm, key) in
        [(Algorithm::EdDSA, ed25519()), (Algorithm::ES256, p256()), (Algorithm::RS256, rsa())]
    {
        let token = sign(algorithm, &key, None, &alice());
        assert_eq!(verifier.verify(&token).await, Err(TokenError::Signature), "{algorithm:?}");
    }
    let secret = EncodingKey::from_secret(&[0, 0, 0]);
    let token = sign(Algorithm::HS256, &secret, None, &alice());
    assert_eq!(verifier.verify(&token).await, Err(TokenError::Signature));

    let usable = jwk(Algorithm::EdDSA, &ed25519(), &json!({"key_ops": ["verify"]}));
    let provider = Provider::start(&[unusable.as_slice(), &[usable]].concat()).await;
    let verifier = Verifier::new(&provider.settings(), clock()).unwrap();
    assert!(verifier.verify(&old_token()).await.is_ok());
}

#[tokio::test]
async fn a_secret_in_a_set_is_for_the_hashes_that_it_says() {
    let secret = b"a secret of a set, of thirty-two bytes";
    let k = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, secret);
    let token =
        |algorithm, kid| sign(algorithm, &EncodingKey::from_secret(secret), Some(kid), &alice());
    let keys = [
        json!({"kty": "oct", "kid": "any", "k": k}),
        json!({"kty": "oct", "kid": "one", "k": k, "alg": "HS384", "use": "sig"}),
    ];
    let provider = Provider::start(&keys).await;
    let settings = AuthConfig { jwt_secret: Some(SECRET.into()), ..provider.settings() };
    let verifier = Verifier::new(&settings, clock()).unwrap();
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        assert!(verifier.verify(&token(algorithm, "any")).await.is_ok(), "{algorithm:?}");
    }
    assert!(verifier.verify(&token(Algorithm::HS384, "one")).await.is_ok());
    let other = verifier.verify(&token(Algorithm::HS256, "one")).await;
    assert_eq!(other, Err(TokenError::Signature), "our own secret is for such tokens");
    assert!(verifier.verify(&hs256(&alice())).await.is_ok());
}

#[test]
fn a_key_in_a_file_that_can_not_be_used_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let start = |keys: &[Value]| {
        std::fs::write(&path, json!({ "keys": keys }).to_string()).unwrap();
        let jwt_jwks = Some(path.display().to_string());
        Verifier::new(&AuthConfig { jwt_jwks, ..settings() }, clock()).map(drop)
    };
    let encrypts = jwk(Algorithm::RS256, &rsa(), &json!({"use": "enc", "alg": "RSA-OAEP"}));
    assert!(start(&[old_key(), encrypts]).is_ok());
    for (bad, problem) in [
        (json!({"kty": "oct", "kid": "s", "k": "AAAA"}), "key 2 (\"s\") is a secret of less than"),
        (json!({"kty": "EC", "crv": "P-384"}), "key 2 is none of RSA"),
        (jwk(Algorithm::EdDSA, &ed25519(), &json!({"d": "AAAA"})), "key 2 is a private key"),
        (jwk(Algorithm::RS256, &rsa(), &json!({"n": "AQAB"})), "key 2 is no usable key"),
        (json!("not a key"), "key 2 is no JWK"),
    ] {
        let error = start(&[old_key(), bad]).unwrap_err().to_string();
        assert!(error.starts_with("JWT_JWKS: key 2") && error.contains(problem), "{error}");
    }
}

#[tokio::test]
async fn a_rotated_key_is_found_by_its_name_and_an_old_one_ends_with_it() {
    let clock = clock();
    let provider = Provider::start(&[old_key()]).await;
    let verifier = Verifier::new(&provider.settings(), clock.clone()).unwrap();
    assert!(verifier.verify(&old_token()).await.is_ok());

    provider.publish(&[new_key()]);
    clock.advance(seconds(30));
    assert!(verifier.verify(&old_token()).await.is_ok(), "the set is not old yet");
    assert_eq!(provider.asked(), 1);
    assert!(verifier.verify(&new_token()).await.is_ok());
    assert_eq!(verifier.verify(&old_token()).await, Err(TokenError::Signature));
    assert_eq!(provider.asked(), 2);
}

#[tokio::test]
async fn a_set_is_loaded_again_when_it_is_old() {
    let clock = clock();
    let provider = Provider::start(&[old_key()]).await;
    let verifier = Verifier::new(&provider.settings(), clock.clone()).unwrap();
    assert!(verifier.verify(&old_token()).await.is_ok());
    provider.publish(&[new_key()]);
    clock.advance(seconds(599));
    assert!(verifier.verify(&old_token()).await.is_ok());
    clock.advance(seconds(1));
    assert_eq!(verifier.verify(&old_token()).await, Err(TokenError::Signature));
}

#[tokio::test]
async fn made_up_key_names_do_not_flood_the_provider() {
    let clock = clock();
    let provider = Provider::start(&[old_key()]).await;
    let verifier = Verifier::new(&provider.settings(), clock.clone()).unwrap();
    for round in 1..=3 {
        let tokens = (0..20).map(|n| {
            let kid = format!("made-up-{round}-{n}");
            let token = sign(Algorithm::EdDSA, &ed25519_next(), Some(&kid), &alice());
            let verifier = verifier.clone();
            async move { verifier.verify(&token).await }
        });
        let refused = futures_util::future::join_all(tokens).await;
        assert!(refused.iter().all(|refused| *refused == Err(TokenError::Signature)));
        assert_eq!(provider.asked(), round);
        clock.advance(seconds(29));
        assert_eq!(verifier.verify(&new_token()).await, Err(TokenError::Signature));
        assert_eq!(provider.asked(), round, "29 s are too soon");
        clock.advance(seconds(1));
    }
}

#[tokio::test]
async fn old_keys_stay_while_the_provider_is_away() {
    let clock = clock();
    let provider = Provider::start(&[old_key()]).await;
    let verifier = Verifier::new(&provider.settings(), clock.clone()).unwrap();
    assert!(verifier.verify(&old_token()).await.is_ok());
    let large = format!("{{\"keys\": [], \"padding\": \"{}\"}}", "x".repeat(1_000_000));
    for (asked, (status, body)) in [
        (StatusCode::INTERNAL_SERVER_ERROR, json!({"keys": []}).to_string()),
        (StatusCode::OK, "<html>".to_owned()),
        (StatusCode::OK, json!({"error": "busy"}).to_string()),
        (StatusCode::OK, large),
    ]
    .into_iter()
    .enumerate()
    {
        provider.answer(status, body);
        clock.advance(seconds(600));
        assert!(verifier.verify(&old_token()).await.is_ok());
        assert_eq!(verifier.verify(&new_token()).await, Err(TokenError::Signature));
        assert_eq!(provider.asked(), asked + 2);
    }
    provider.publish(&[new_key()]);
    clock.advance(seconds(30));
    assert!(verifier.verify(&new_token()).await.is_ok());
}

#[tokio::test]
async fn a_provider_that_was_never_there_is_not_the_tokens_fault() {
    let clock = clock();
    let provider = Provider::start(&[old_key()]).await;
    provider.answer(StatusCode::BAD_GATEWAY, "");
    let verifier = Verifier::new(&provider.settings(), clock.clone()).unwrap();
    assert_eq!(verifier.verify(&old_token()).await, Err(TokenError::KeysUnavailable));
    provider.publish(&[old_key()]);
    clock.advance(seconds(1));
    assert!(verifier.verify(&old_token()).await.is_ok());

    let nobody = AuthConfig { jwt_jwks: Some("https://127.0.0.1:1/".into()), ..settings() };
    let verifier = Verifier::new(&nobody, clock).unwrap();
    assert_eq!(verifier.verify(&old_token()).await, Err(TokenError::KeysUnavailable));
}

/// Lets a clock go on with the test's paused one.
fn follow(clock: &Clock) {
    const STEP: Duration = Duration::from_millis(100);
    let clock = clock.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(STEP).await;
            clock.advance(STEP);
        }
    });
}

/// What five who come at once are answered, and after how long on the paused clock.
async fn five(verifier: &Verifier, token: &str) -> Vec<(Result<Identity, TokenError>, Duration)> {
    let began = tokio::time::Instant::now();
    let each = (0..5).map(|_| async { (verifier.verify(token).await, began.elapsed()) });
    futures_util::future::join_all(each).await
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_at_the_start_holds_everyone_up_once_and_together() {
    let clock = clock();
    // Takes connections, and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", silent.local_addr().unwrap());
    let settings = AuthConfig { jwt_jwks: Some(url), ..settings() };
    let verifier = Verifier::new(&settings, clock.clone()).unwrap();
    follow(&clock);
    for (answer, after) in five(&verifier, &old_token()).await {
        assert_eq!(answer, Err(TokenError::KeysUnavailable));
        assert!(after <= seconds(6), "{after:?}");
    }
    let (answer, after) = five(&verifier, &old_token()).await.swap_remove(4);
    assert_eq!(answer, Err(TokenError::KeysUnavailable));
    assert!(after < seconds(1), "just after a failure nobody waits for another: {after:?}");
}

#[tokio::test]
async fn the_keys_from_before_are_good_while_a_refresh_hangs() {
    let clock = clock();
    let provider = Provider::start(&[old_key()]).await;
    let verifier = Verifier::new(&provider.settings(), clock.clone()).unwrap();
    assert!(verifier.verify(&old_token()).await.is_ok());
    provider.hangs.store(true, Ordering::SeqCst);
    clock.advance(seconds(600));
    tokio::time::pause();
    follow(&clock);
    for (answer, after) in five(&verifier, &old_token()).await {
        assert!(answer.is_ok(), "{answer:?}");
        assert!(after < seconds(3), "{after:?}");
    }
    for (answer, after) in five(&verifier, &new_token()).await {
        assert_eq!(answer, Err(TokenError::Signature));
        assert!(after <= seconds(6), "{after:?}");
    }
}

#[tokio::test]
async fn an_outage_is_logged_once() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Log {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(text)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let (clock, log) = (clock(), Log::default());
    let provider = Provider::start(&[old_key()]).await;
    let verifier = Verifier::new(&provider.settings(), clock.clone()).unwrap();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    for _ in 0..2 {
        assert!(verifier.verify(&old_token()).await.is_ok());
        provider.answer(StatusCode::BAD_GATEWAY, "");
        for _ in 0..3 {
            clock.advance(seconds(600));
            assert!(verifier.verify(&old_token()).await.is_ok());
        }
        provider.publish(&[old_key()]);
        clock.advance(seconds(600));
    }
    let log = String::from_utf8(log.0.lock().clone()).unwrap();
    assert_eq!(log.matches("not loaded").count(), 2, "{log}");
    assert_eq!(log.matches("loaded again").count(), 1, "{log}");
    assert!(!log.contains(&provider.url), "{log}");
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_end_the_load() {
    let provider = Provider::start(&[old_key()]).await;
    let verifier = Verifier::new(&provider.settings(), clock()).unwrap();
    let token = old_token();
    // Polled once, which begins the load, then dropped.
    assert!(futures_util::FutureExt::now_or_never(verifier.verify(&token)).is_none());
    let again = tokio::time::timeout(seconds(5), verifier.verify(&token)).await.unwrap();
    assert!(again.is_ok());
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn a_set_stands_beside_a_secret_and_a_public_key() {
    let provider = Provider::start(&[new_key()]).await;
    let settings = AuthConfig {
        jwt_secret: Some(SECRET.into()),
        jwt_public_key: Some(ED25519_PUBLIC.into()),
        ..provider.settings()
    };
    let verifier = Verifier::new(&settings, clock()).unwrap();
    assert!(verifier.verify(&hs256(&alice())).await.is_ok());
    assert!(verifier.verify(&old_token()).await.is_ok());
    assert_eq!(provider.asked(), 0);
    assert!(verifier.verify(&new_token()).await.is_ok());
}

#[tokio::test]
async fn a_changed_file_is_read_again() {
    let clock = clock();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let publish = |keys: &[Value]| {
        std::fs::write(&path, json!({ "keys": keys }).to_string()).unwrap();
    };
    publish(&[old_key()]);
    let settings = AuthConfig { jwt_jwks: Some(path.to_str().unwrap().into()), ..settings() };
    let verifier = Verifier::new(&settings, clock.clone()).unwrap();
    assert!(verifier.verify(&old_token()).await.is_ok());

    publish(&[new_key()]);
    clock.advance(seconds(1));
    assert!(verifier.verify(&new_token()).await.is_ok());
    assert_eq!(verifier.verify(&old_token()).await, Err(TokenError::Signature));

    std::fs::remove_file(&path).unwrap();
    clock.advance(seconds(3600));
    assert!(verifier.verify(&new_token()).await.is_ok());
}

#[test]
fn a_file_that_is_no_set_stops_the_start() {
    let with = |source: &str| AuthConfig { jwt_jwks: Some(source.into()), ..settings() };
    for (source, problem) in [
        ("no/such/file.json", "JWT_JWKS: neither URL nor file"),
        (concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "JWT_JWKS: not a JWK set"),
        ("https://", "JWT_JWKS: "),
    ] {
        let error = Verifier::new(&with(source), clock()).unwrap_err().to_string();
        assert!(error.starts_with(problem), "{error}");
    }
}
