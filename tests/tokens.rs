//! Tokens of good callers: whatever another issuer, cookie or clock makes of them that is no fault
//! of theirs, they are let in, and for as long as they were told
//! (docs/contract/events.md#handshake).

use std::time::Duration;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use sha2::Sha256;
use stoa::{
    clock::{Clock, Timestamp},
    config::ShortSecret,
};

use crate::support::{
    Options, TestApp,
    app::{SECRET, sign},
    http_client,
};

const SECRETS: [&str; 2] = ["short", "the secret of last year, with 32 bytes"];

fn signed(algorithm: Algorithm, kid: Option<&str>, secret: &str, claims: &Value) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a token")
}

/// A token of these claims, as they are written.
fn sign_text(claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", part(r#"{"alg":"HS256"}"#), part(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    format!("{message}.{}", signature.expect("a signature"))
}

/// Whether requests and sockets with the token are let in.
async fn let_in(app: &TestApp, token: &str) -> bool {
    let answer = app.bearer("alice", token).get("/api/presence/alice").await;
    for options in [Options::websocket(), Options::polling()] {
        let connected = app.connect(options.token(token)).await;
        assert_eq!(connected.is_ok(), answer.status == 200, "{answer:?} {:?}", connected.err());
    }
    answer.status == 200
}

#[tokio::test]
async fn a_good_token_is_let_in_whoever_made_it() {
    let app = TestApp::start().await;
    let now = Clock::system().now().seconds();
    let claims = |more: Value| {
        let mut claims = json!({ "userId": "alice", "exp": now + 600 });
        claims.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        claims
    };
    let fraction = |seconds: i64| format!("{seconds}.75").parse::<f64>().unwrap();
    for kid in [
        "kX2/Y+1bS0m3Kw==",
        "",
        "a b",
        "../../key",
        "https://id.example/jwks#1",
        "é",
        &"k".repeat(300),
    ] {
        assert!(
            let_in(&app, &signed(Algorithm::HS256, Some(kid), SECRET, &claims(json!({})))).await,
            "{kid}"
        );
    }
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let token = |secret| signed(algorithm, None, secret, &claims(json!({})));
        assert!(let_in(&app, &token(SECRET)).await, "{algorithm:?}");
        assert!(
            !let_in(&app, &token("another secret of more than thirty-two bytes")).await,
            "{algorithm:?}"
        );
    }
    for more in [
        json!({ "iat": now + 3600 }),
        json!({ "iat": now * 1000 }),
        json!({ "iat": "now" }),
        json!({ "exp": now * 1000 }),
        json!({ "exp": 1e300 }),
        json!({ "exp": fraction(now + 60), "nbf": fraction(now - 1) }),
    ] {
        assert!(let_in(&app, &sign(&claims(more.clone()), SECRET)).await, "{more}");
    }
    // Half of a character in a name, as JavaScript writes it.
    let claims = claims(json!({})).to_string().replace('{', r#"{"name":"cut \ud83c","#);
    assert!(let_in(&app, &sign_text(&claims)).await);
}

#[tokio::test]
async fn the_end_of_a_token_that_lies_beyond_9999_is_told_as_its_last_moment() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    for exp in [json!(253_402_300_800_i64), json!(1_764_000_000_000_i64), json!(1e300)] {
        let token = app.token_with("alice", json!({ "exp": exp }));
        let ack = alice.emit_ack("auth:refresh", json!({ "token": token })).await;
        assert_eq!(ack["expiresAt"], "9999-12-31T23:59:59.999Z", "{ack}");
    }
    alice.expect_nothing().await;
}

#[tokio::test]
async fn a_cookie_of_somebody_elses_never_costs_ours() {
    let app = TestApp::start().await;
    let token = app.token("alice", &[]);
    for other in
        [&b"name=S\xc3\xb8ren; "[..], b"x=\xff\xfe\x80; ", b"\xff; ", b"=; ;;", b"theme=\"a;b\"; "]
    {
        let cookie = [other, b"token=", token.as_bytes(), b"; z=\xe9"].concat();
        let cookie = http::HeaderValue::from_bytes(&cookie).unwrap();
        let answer = http_client()
            .get(format!("http://{}/api/presence/alice", app.address()))
            .header("cookie", cookie.clone())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(other));
        for options in [Options::polling(), Options::polling().protocol(3)] {
            let options = options.header_bytes("cookie", cookie.as_bytes());
            assert!(app.connect(options).await.is_ok(), "{}", String::from_utf8_lossy(other));
        }
    }
}

#[tokio::test]
async fn a_token_holds_for_the_same_time_over_rest_at_the_handshake_and_on_an_open_socket() {
    let start = Timestamp::from_millis(1_800_000_000_000);
    let clock = Clock::manual(start);
    let app = TestApp::with_clock(clock.clone(), |_| {}).await;
    let now = start.seconds();
    let token = app.token_with("alice", json!({ "exp": now + 10, "nbf": now + 5 }));
    assert!(let_in(&app, &token).await, "from 5 s before its time");
    let mut open = [
        app.connect(Options::websocket().token(&token)).await.unwrap(),
        app.connect(Options::polling().token(&token)).await.unwrap(),
    ];
    for socket in &mut open {
        let told = socket.expect("auth:expiring").await;
        assert_eq!(told["expiresAt"], (start + Duration::from_secs(10)).to_string());
    }
    clock.advance(Duration::from_millis(14_999));
    assert!(let_in(&app, &token).await, "until 5 s after its time");
    let mut late = app.connect(Options::websocket().token(&token)).await.unwrap();
    for socket in open.iter_mut().chain([&mut late]) {
        assert_eq!(socket.emit_ack("join-user-room", "alice").await["success"], true);
    }
    clock.advance(Duration::from_millis(1));
    assert!(!let_in(&app, &token).await);
    // Whoever comes next has the server look at its clock.
    let bobs = app.token_with("bob", json!({ "exp": now + 60 }));
    let _bob = app.connect(Options::websocket().token(&bobs)).await.unwrap();
    for socket in open.iter_mut().chain([&mut late]) {
        assert_eq!(socket.expect("session:closing").await["reason"], "token_expired");
        socket.closed().await;
    }
}

#[tokio::test]
async fn an_old_secret_is_believed_beside_the_new_one_and_a_short_one_where_that_is_wanted() {
    let app = TestApp::with(|config| {
        config.auth.jwt_secret = Some(SECRETS[0].into());
        config.auth.jwt_secret_previous = Some(SECRETS[1].into());
        config.auth.jwt_short_secret = ShortSecret::Accept;
    })
    .await;
    let claims = json!({ "userId": "alice", "exp": Clock::system().now().seconds() + 600 });
    for secret in SECRETS {
        assert!(let_in(&app, &sign(&claims, secret)).await, "{secret}");
        assert!(let_in(&app, &signed(Algorithm::HS512, None, secret, &claims)).await, "{secret}");
    }
    assert!(!let_in(&app, &sign(&claims, "a third secret of at least thirty-two bytes")).await);
}

/// As Express's `res.cookie(name, value, { signed: true })` (cookie-signature 1.x).
fn cookie_signed(value: &str, secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(value.as_bytes());
    let signature = STANDARD_NO_PAD.encode(mac.finalize().into_bytes());
    let signed = format!("s:{value}.{signature}");
    percent_encoding::utf8_percent_encode(&signed, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn a_cookie_that_express_signed_is_opened_and_one_that_it_did_not_sign_does_not_count() {
    let app = TestApp::with(|config| config.auth.cookie_secret = Some("keyboard cat".into())).await;
    let (alice, bob) = (app.token("alice", &[]), app.token("bob", &[]));
    let connect = async |cookie: String| {
        let client = app.connect(Options::websocket().header("cookie", &cookie)).await;
        let mut client = client.map_err(|error| error.to_string())?;
        Ok::<_, String>(client.emit_ack("join-user-room", "alice").await["success"] == true)
    };
    let good = cookie_signed(&alice, "keyboard cat");
    assert_eq!(connect(format!("token={good}")).await, Ok(true));
    assert_eq!(connect(format!("token={alice}")).await, Ok(true), "unsigned, as cookie-parser");
    let forged = cookie_signed(&bob, "another");
    assert_eq!(connect(format!("token={forged}; accessToken={good}")).await, Ok(true));
    let none = Err("Authentication error: No token provided".to_owned());
    assert_eq!(connect(format!("token={forged}")).await, none);
}

#[tokio::test]
async fn a_token_in_the_query_counts_where_its_parameter_is_named() {
    let app = TestApp::with(|config| config.auth.query = Some("access_token".to_owned())).await;
    let (alice, bob) = (app.token("alice", &[]), app.token("bob", &[]));
    for options in [Options::websocket(), Options::polling(), Options::upgrade()] {
        for protocol in [3, 4] {
            let options = options.clone().protocol(protocol);
            let client = app.connect(options.clone().query("access_token", &alice)).await;
            let mut client = client.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(client.emit_ack("join-user-room", "alice").await["success"], true);
            let other = app.refusal(options.clone().query("token", &alice)).await;
            assert_eq!(other, "Authentication error: No token provided");
            // The other places come first.
            let both = options.query("access_token", &bob);
            let both = both.header("authorization", &format!("Bearer {alice}"));
            let mut client = app.connect(both).await.unwrap();
            assert_eq!(client.emit_ack("join-user-room", "alice").await["success"], true);
        }
    }
    let get = async |query: String| {
        let url = format!("http://{}/api/presence/alice?{query}", app.address());
        http_client().get(url).send().await.unwrap().status().as_u16()
    };
    assert_eq!(get(format!("access_token={alice}")).await, 200);
    assert_eq!(get(format!("access_token=Bearer%20{alice}")).await, 200);
    assert_eq!(get(format!("token={alice}")).await, 401);
    let list = format!("http://{}/api/conversations?limit=5&access_token={alice}", app.address());
    assert_eq!(http_client().get(list).send().await.unwrap().status(), 200);
}

/// A token of so many bytes, or up to two fewer.
fn long_token(app: &TestApp, bytes: usize) -> String {
    let token = |name: usize| app.token_with("alice", json!({ "pad": "x".repeat(name) }));
    let token = token((bytes - token(0).len()) / 4 * 3);
    assert!((bytes - 4..=bytes).contains(&token.len()), "{}", token.len());
    token
}

#[tokio::test]
async fn a_token_of_sixteen_kilobytes_is_taken_wherever_tokens_are() {
    let app = TestApp::with(|config| config.auth.query = Some("access_token".to_owned())).await;
    let token = long_token(&app, 16 * 1024);
    let bearer = format!("Bearer {token}");
    let cookie = format!("theme=dark; token={token}; other={}", "y".repeat(4000));
    let http = http_client();
    let url = |query: &str| format!("http://{}/api/presence/alice{query}", app.address());
    for request in [
        http.get(url("")).header("authorization", &bearer),
        http.get(url("")).header("cookie", &cookie),
        http.get(url(&format!("?access_token={token}"))),
    ] {
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    for transport in [Options::websocket(), Options::polling(), Options::upgrade()] {
        for protocol in [3, 4] {
            let options = || transport.clone().protocol(protocol);
            let in_auth = (protocol == 4).then(|| options().token(&token));
            for options in [
                options().header("authorization", &bearer),
                options().header("cookie", &cookie),
                options().query("access_token", &token),
            ]
            .into_iter()
            .chain(in_auth)
            {
                let client = app.connect(options).await;
                let mut client = client.unwrap_or_else(|error| panic!("{protocol}: {error}"));
                assert_eq!(client.emit_ack("join-user-room", "alice").await["success"], true);
            }
        }
    }
    let mut alice = app.user("alice").await;
    let ack = alice.emit_ack("auth:refresh", json!({ "token": token })).await;
    assert_eq!(ack["success"], true, "{ack}");
    let longer = long_token(&app, 16 * 1024 + 8);
    assert!(!let_in(&app, &longer).await);
}

#[tokio::test]
async fn every_key_of_a_pem_and_of_a_set_is_believed() {
    let key = |name: &str| {
        let path = format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).expect("a key")
    };
    let short = URL_SAFE_NO_PAD.encode("short");
    let long = "the secret of an oct key, with 32 bytes";
    let set = json!({ "keys": [
        { "kty": "oct", "kid": "short", "k": short },
        { "kty": "oct", "k": URL_SAFE_NO_PAD.encode(long), "alg": "HS512" },
    ] });
    let folder = tempfile::TempDir::new().expect("a folder");
    let jwks = folder.path().join("jwks.json");
    std::fs::write(&jwks, set.to_string()).expect("a file");
    let pems = ["rsa.pub.pem", "p256.pub.pem", "ed25519.pub.pem"].map(key).join("\n");
    let start = |short: ShortSecret| {
        let (pems, jwks) = (pems.clone(), jwks.clone());
        TestApp::with(move |config| {
            config.auth.jwt_secret = None;
            config.auth.jwt_public_key = Some(pems);
            config.auth.jwt_jwks = Some(jwks.display().to_string());
            config.auth.jwt_short_secret = short;
        })
    };
    let app = start(ShortSecret::Accept).await;
    let claims = json!({ "userId": "alice", "exp": Clock::system().now().seconds() + 600 });
    let by = |algorithm, key: EncodingKey, kid: Option<&str>| {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
        encode(&header, &claims, &key).expect("a token")
    };
    let pem = |name: &str| key(name).into_bytes();
    for token in [
        by(Algorithm::RS256, EncodingKey::from_rsa_pem(&pem("rsa.pem")).unwrap(), None),
        by(Algorithm::ES256, EncodingKey::from_ec_pem(&pem("p256.pem")).unwrap(), None),
        by(Algorithm::EdDSA, EncodingKey::from_ed_pem(&pem("ed25519.pem")).unwrap(), Some("x")),
        by(Algorithm::HS512, EncodingKey::from_secret(long.as_bytes()), None),
        by(Algorithm::HS256, EncodingKey::from_secret(b"short"), Some("short")),
    ] {
        assert!(let_in(&app, &token).await, "{token}");
    }
    for token in [
        by(Algorithm::HS256, EncodingKey::from_secret(long.as_bytes()), None),
        by(Algorithm::HS256, EncodingKey::from_secret(pems.as_bytes()), None),
        by(Algorithm::EdDSA, EncodingKey::from_ed_pem(&pem("ed25519-next.pem")).unwrap(), None),
    ] {
        assert!(!let_in(&app, &token).await, "{token}");
    }
}
