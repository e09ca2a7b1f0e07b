//! Who may connect, in which words others are refused, and how long a token carries a socket.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use stoa::config::Handshake;
use tokio::net::TcpListener;

use crate::support::{ConnectError, Options, TestApp, app::sign};

const NO_TOKEN: &str = "Authentication error: No token provided";

/// The transports, in both protocols where headers alone carry the token.
fn transports() -> [Options; 3] {
    [Options::websocket(), Options::polling(), Options::upgrade()]
}

#[tokio::test]
async fn a_token_is_taken_from_auth_header_and_cookie_and_from_nowhere_else() {
    let app = TestApp::start().await;
    let token = app.token("alice", &[]);
    let bearer = format!("Bearer {token}");
    for options in transports() {
        for place in [
            options.clone().token(&token),
            options.clone().token(&bearer),
            options.clone().header("authorization", &bearer),
            options.clone().header("cookie", &format!("theme=dark; token={token}")),
            options.clone().header("cookie", &format!("accessToken={token}")),
            options.clone().protocol(3).header("authorization", &bearer),
            options.clone().protocol(3).header("cookie", &format!("token={token}")),
        ] {
            let mut alice = app.connect(place).await.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(alice.emit_ack("join-user-room", "alice").await["success"], true);
        }
        assert_eq!(app.refusal(options.clone().query("token", &token)).await, NO_TOKEN);
        assert_eq!(app.refusal(options.clone()).await, NO_TOKEN);
        assert_eq!(app.refusal(options.protocol(3)).await, NO_TOKEN);
    }
}

#[tokio::test]
async fn the_first_token_found_counts_even_when_it_is_bad() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.token("alice", &[]), app.token("bob", &[]));
    let options = Options::websocket()
        .token(&alice)
        .header("authorization", &format!("Bearer {bob}"))
        .header("cookie", "token=nonsense");
    let mut client = app.connect(options).await.unwrap();
    assert_eq!(client.emit_ack("join-user-room", "alice").await["success"], true);
    assert_eq!(client.emit_ack("join-user-room", "bob").await["code"], "forbidden");
    let options = Options::websocket().token("nonsense").header("authorization", &bob);
    assert_eq!(app.refusal(options).await, "Authentication error: jwt malformed");
}

/// A token that is signed in a way that no key of the server's is for.
fn other_algorithm(claims: &serde_json::Value) -> String {
    let key = EncodingKey::from_ed_pem(include_bytes!("keys/ed25519.pem")).expect("a key");
    encode(&Header::new(Algorithm::EdDSA), claims, &key).expect("a token")
}

#[tokio::test]
async fn a_refused_token_is_told_in_the_words_of_node() {
    let app = TestApp::with(|config| config.auth.leeway = Duration::ZERO).await;
    let now = stoa::clock::Clock::system().now().seconds();
    let claims = json!({ "userId": "alice", "exp": now + 600 });
    let other_algorithm = other_algorithm(&claims);
    let expired = app.token_with("alice", json!({ "exp": now - 60 }));
    let early = app.token_with("alice", json!({ "nbf": now + 600 }));
    for (token, message, code) in [
        (expired, "jwt expired", "token_expired"),
        (early, "jwt not active", "token_not_active"),
        ("nonsense".to_owned(), "jwt malformed", "token_malformed"),
        ("a.b.c".to_owned(), "invalid token", "token_invalid"),
        (
            sign(&claims, "another secret of at least thirty-two bytes"),
            "invalid signature",
            "token_signature_invalid",
        ),
        (other_algorithm, "invalid algorithm", "token_algorithm_invalid"),
    ] {
        let message = format!("Authentication error: {message}");
        for options in transports() {
            assert_eq!(app.refusal(options.token(&token)).await, message);
        }
        let bearer = format!("Bearer {token}");
        let old = Options::websocket().protocol(3).header("authorization", &bearer);
        assert_eq!(app.refusal(old).await, message);
        let http = crate::support::http_client();
        let url = format!("http://{}/api/presence/alice", app.address());
        let answer = http.get(url).header("authorization", bearer).send().await.unwrap();
        assert_eq!(answer.status(), 401);
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(problem["detail"], message.as_str(), "{problem}");
        assert_eq!(problem["code"], code);
    }
}

#[tokio::test]
async fn audience_and_issuer_are_checked_when_they_are_configured() {
    let app = TestApp::with(|config| {
        config.auth.jwt_audience = Some("web".to_owned());
        config.auth.jwt_issuer = Some("https://id.example".to_owned());
    })
    .await;
    let refusal = async |aud: &str, iss: &str| {
        let token = app.token_with("alice", json!({ "aud": aud, "iss": iss }));
        app.refusal(Options::websocket().token(&token)).await
    };
    assert_eq!(
        refusal("other", "https://id.example").await,
        "Authentication error: jwt audience invalid. expected: web"
    );
    assert_eq!(
        refusal("web", "https://other.example").await,
        "Authentication error: jwt issuer invalid. expected: https://id.example"
    );
    let token = app.token_with("alice", json!({ "aud": "web", "iss": "https://id.example" }));
    assert!(app.connect(Options::websocket().token(&token)).await.is_ok());
    let bare = app.token("alice", &[]);
    assert_eq!(
        app.refusal(Options::websocket().token(&bare)).await,
        "Authentication error: jwt audience invalid. expected: web"
    );
}

#[tokio::test]
async fn there_are_three_namespaces() {
    let app = TestApp::start().await;
    let token = app.token("alice", &[]);
    for namespace in ["/", "/chat", "/marketplace"] {
        let options = Options::websocket().token(&token).namespace(namespace);
        assert!(app.connect(options).await.is_ok(), "{namespace}");
    }
    for namespace in ["/chats", "/dynamic-1", "/chat/room"] {
        let options = Options::websocket().token(&token).namespace(namespace);
        assert_eq!(app.refusal(options).await, "Invalid namespace", "{namespace}");
    }
}

#[tokio::test]
async fn a_user_hears_of_their_own_in_every_namespace_of_a_connection() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    let auth = json!({ "token": app.token("alice", &[]) });
    alice.join_namespace("/chat", &auth).await.unwrap();
    let refused = alice.join_namespace("/marketplace", &json!({})).await;
    match refused {
        Err(ConnectError::Refused { message }) => assert_eq!(message, NO_TOKEN),
        other => panic!("{:?}", other.err()),
    }
    app.emit(json!({ "user": "alice" }), "news", json!(1)).await;
    for namespace in ["/", "/chat"] {
        assert_eq!(alice.expect_in(namespace, "news").await, 1);
    }
    alice.expect_nothing().await;
}

#[tokio::test]
async fn a_trusting_server_believes_the_first_id_it_is_told() {
    let app = TestApp::with(|config| config.auth.handshake = Handshake::Trusting).await;
    for (event, user) in [
        ("join-user-room", "alice"),
        ("join-seller-room", "sam"),
        ("join-buyer-room", "ben"),
        ("user-online", "olga"),
    ] {
        let mut client = app.connect(Options::websocket()).await.unwrap();
        let joined = client.emit_ack(event, user).await;
        assert_eq!(joined["success"], true, "{event}: {joined}");
        assert_eq!(app.presence(user).await["status"], "online", "{event}");
        let other = client.emit_ack("join-user-room", "somebody").await;
        assert_eq!(other["code"], "forbidden", "{event}");
        app.emit(json!({ "user": user }), "news", json!(1)).await;
        assert_eq!(client.expect("news").await, 1);
    }
    let ready = app.get("/readyz").await;
    assert!(ready.body.to_string().contains("trusting"), "{ready:?}");
}

#[tokio::test]
async fn a_trusting_server_still_verifies_a_token_and_holds_to_it() {
    let app = TestApp::with(|config| config.auth.handshake = Handshake::Trusting).await;
    let refusal = app.refusal(Options::websocket().token("nonsense")).await;
    assert_eq!(refusal, "Authentication error: jwt malformed");
    let mut alice = app.user("alice").await;
    assert_eq!(alice.emit_ack("join-user-room", "bob").await["code"], "forbidden");
    assert_eq!(alice.emit_ack("join-user-room", "alice").await["success"], true);
}

/// A server that tells half a second before the end, and takes tokens at their word.
async fn expiring() -> TestApp {
    TestApp::with(|config| {
        config.auth.leeway = Duration::ZERO;
        config.realtime.expiring_notice = Duration::from_millis(500);
    })
    .await
}

#[tokio::test]
async fn a_socket_is_told_that_its_token_ends_and_is_closed_when_it_has() {
    let app = expiring().await;
    for options in transports() {
        let token = app.short_token("alice", Duration::from_secs(3));
        let mut alice = app.connect(options.token(&token)).await.unwrap();
        let expiring = alice.expect("auth:expiring").await;
        assert!(expiring["expiresAt"].as_str().is_some_and(|at| at.ends_with('Z')), "{expiring}");
        let closing = alice.expect("session:closing").await;
        assert_eq!(closing["reason"], "token_expired", "{closing}");
        assert!(closing["retryable"].is_boolean(), "{closing}");
        alice.closed().await;
    }
}

#[tokio::test]
async fn a_refreshed_token_extends_the_life_of_its_socket() {
    let app = expiring().await;
    let token = app.short_token("alice", Duration::from_secs(2));
    let mut alice = app.connect(Options::websocket().token(&token)).await.unwrap();
    let first = alice.expect("auth:expiring").await;
    let refresh = |token: &str| json!({ "token": token });
    for bad in [app.token("bob", &[]), "nonsense".to_owned()] {
        let ack = alice.emit_ack("auth:refresh", refresh(&bad)).await;
        assert_eq!(ack["success"], false, "{ack}");
    }
    let next = app.short_token("alice", Duration::from_secs(4));
    let ack = alice.emit_ack("auth:refresh", refresh(&next)).await;
    assert_eq!(ack["success"], true, "{ack}");
    // It is told again, for the second token's end: so it outlived the first.
    let second = alice.expect("auth:expiring").await;
    assert_eq!(second["expiresAt"], ack["expiresAt"]);
    assert!(second["expiresAt"].as_str() > first["expiresAt"].as_str());
    assert_eq!(alice.expect("session:closing").await["reason"], "token_expired");
    alice.closed().await;
}

#[tokio::test]
async fn keys_that_do_not_come_are_told_of_before_the_session_is_given_up() {
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let source = format!("http://{}/jwks.json", silent.local_addr().expect("its address"));
    let app = TestApp::with(|config| {
        config.auth.jwt_jwks = Some(source);
        config.realtime.connect_timeout = Duration::from_secs(1);
    })
    .await;
    let header = Header::new(Algorithm::HS256);
    let token = encode(&header, &json!({ "id": "alice" }), &EncodingKey::from_secret(b"another"))
        .expect("a token");
    let refusals = transports().map(|options| {
        let options = options.token(&token);
        async { app.refusal(options).await }
    });
    for refusal in futures_util::future::join_all(refusals).await {
        assert_eq!(refusal, "Authentication error: keys unavailable");
    }
}
