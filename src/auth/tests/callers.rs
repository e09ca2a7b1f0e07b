//! The extractors, on a real router.

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use super::*;
use crate::{
    auth::{AdminCaller, Authenticator, Caller, EmitCaller, OperatorCaller, ServiceCaller},
    error::Error,
    origin::OriginPolicy,
};

fn authenticator(settings: &AuthConfig) -> Authenticator {
    let named = ["https://chat.example", "https://market.example"];
    let origins = OriginPolicy::new(named, false).unwrap();
    Authenticator::new(settings, origins, clock()).unwrap()
}

fn router() -> Router {
    let hash = |key: &str| hex::encode(Sha256::digest(key));
    let settings = AuthConfig {
        api_keys: vec![
            format!("orders:{}", hash("whole")),
            format!("payments:{}:event=payment-+room=user-", hash("narrowed")),
        ],
        ..with_secret()
    };
    let emit = async |caller: EmitCaller| {
        let room = "user-alice".parse().unwrap();
        let may = |event| caller.may_emit(event, Some(&room));
        format!("{} {}", may("payment-update"), may("new-offer"))
    };
    Router::new()
        .route("/any", any(async |caller: Caller| caller.identity.user_id.to_string()))
        .route("/service", any(async |caller: ServiceCaller| caller.identity.user_id.to_string()))
        .route("/admin", any(async |caller: AdminCaller| caller.identity.user_id.to_string()))
        .route("/operator", any(async |caller: OperatorCaller| caller.identity.user_id.to_string()))
        .route("/emit", any(emit))
        .with_state(authenticator(&settings))
}

async fn call(method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router().oneshot(request.body(Body::empty()).unwrap()).await.into_response()
}

async fn get(path: &str, headers: &[(&str, &str)]) -> Response {
    call(Method::GET, path, headers).await
}

async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The status, the sentence and the code of a refusal.
fn refusal(response: &Response) -> (StatusCode, String, &'static str) {
    let error = response.extensions().get::<std::sync::Arc<Error>>().unwrap();
    (response.status(), error.detail().to_owned(), error.code_name())
}

fn bearer(claims: &Value) -> String {
    format!("Bearer {}", hs256(claims))
}

#[tokio::test]
async fn a_callers_role_opens_its_doors_and_no_others() {
    for (role, open) in [
        (json!("user"), ["/any"].as_slice()),
        (json!(["buyer", "seller"]), &["/any"]),
        (json!("admin"), &["/any", "/admin", "/operator"]),
        (json!("service"), &["/any", "/service", "/operator", "/emit"]),
    ] {
        let token = bearer(&json!({"userId": "alice", "role": role}));
        for path in ["/any", "/service", "/admin", "/operator", "/emit"] {
            let response = get(path, &[("authorization", &token)]).await;
            if open.contains(&path) {
                assert_eq!(response.status(), StatusCode::OK, "{role} {path}");
            } else {
                let (status, _, code) = refusal(&response);
                assert_eq!((status, code), (StatusCode::FORBIDDEN, "forbidden"), "{role} {path}");
            }
        }
    }
}

#[tokio::test]
async fn who_may_not_is_told_what_it_needs() {
    let token = bearer(&json!({"userId": "alice", "role": "user"}));
    for (path, needs) in [
        ("/service", "This needs the role service: a backend's API key, or its token."),
        ("/admin", "This needs the role admin."),
        ("/operator", "This needs the role admin or service."),
        ("/emit", "This needs the role service: a backend's API key, or its token."),
    ] {
        assert_eq!(refusal(&get(path, &[("authorization", &token)]).await).1, needs);
    }
    let narrowed = refusal(&get("/any", &[("x-api-key", "narrowed")]).await);
    assert_eq!(narrowed.1, "This needs an API key that is not narrowed to some emits.");
}

#[tokio::test]
async fn without_valid_credentials_every_door_answers_401_in_the_contracts_words() {
    let old = bearer(&json!({"userId": "alice", "role": "service", "exp": 1}));
    for path in ["/any", "/service", "/admin", "/operator", "/emit"] {
        let missing = refusal(&get(path, &[]).await);
        let words = "Authentication error: No token provided".to_owned();
        assert_eq!(missing, (StatusCode::UNAUTHORIZED, words, "token_missing"));
        let expired = refusal(&get(path, &[("authorization", &old)]).await);
        let words = "Authentication error: jwt expired".to_owned();
        assert_eq!(expired, (StatusCode::UNAUTHORIZED, words, "token_expired"));
    }
    let query = format!("/any?token={}", hs256(&alice()));
    assert_eq!(refusal(&get(&query, &[]).await).2, "token_missing");
}

#[tokio::test]
async fn an_api_key_is_a_service() {
    let key = [("x-api-key", "whole")];
    for path in ["/any", "/service", "/operator"] {
        assert_eq!(text(get(path, &key).await).await, "service:orders", "{path}");
    }
    assert_eq!(text(get("/emit", &key).await).await, "true true");
    assert_eq!(refusal(&get("/admin", &key).await).0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_bad_api_key_is_refused_whatever_else_is_there() {
    let token = bearer(&json!({"userId": "alice", "role": "service"}));
    let answer = (StatusCode::UNAUTHORIZED, "invalid API key".to_owned(), "api_key_invalid");
    for key in ["", "wrong", "orders", "whole ", &hex::encode(Sha256::digest("whole"))] {
        // A header's value is trimmed on the wire, not here.
        let response = get("/service", &[("x-api-key", key), ("authorization", &token)]).await;
        assert_eq!(refusal(&response), answer, "{key:?}");
    }
}

#[tokio::test]
async fn a_narrowed_api_key_is_only_good_for_what_it_may_emit() {
    let key = [("x-api-key", "narrowed")];
    assert_eq!(text(get("/emit", &key).await).await, "true false");
    for path in ["/any", "/service", "/operator", "/admin"] {
        assert_eq!(refusal(&get(path, &key).await).0, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_cookie_counts_only_for_pages_of_allowed_origins() {
    let cookie = format!("token={}", hs256(&alice()));
    for method in [Method::GET, Method::POST] {
        for (origin, counts) in [
            (None, method.is_safe()),
            (Some("https://chat.example"), true),
            (Some("https://market.example"), true),
            (Some("https://evil.example"), false),
            (Some("https://chat.example.evil.example"), false),
            (Some("http://chat.example"), false),
            (Some("null"), false),
            (Some(""), false),
        ] {
            let mut headers = vec![("cookie", cookie.as_str())];
            headers.extend(origin.map(|origin| ("origin", origin)));
            let response = call(method.clone(), "/any", &headers).await;
            assert_eq!(response.status() == StatusCode::OK, counts, "{method} {origin:?}");
            if !counts {
                assert_eq!(refusal(&response).2, "token_missing");
            }
        }
    }
    let two = [
        ("cookie", cookie.as_str()),
        ("origin", "https://chat.example"),
        ("origin", "https://evil.example"),
    ];
    assert_eq!(get("/any", &two).await.status(), StatusCode::UNAUTHORIZED);
    let token = bearer(&alice());
    let bearer = [("authorization", token.as_str()), ("origin", "https://evil.example")];
    assert_eq!(get("/any", &bearer).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_request_brings_its_token_in_a_header_or_a_cookie() {
    let authenticator = authenticator(&with_secret());
    let identity = async |headers: &http::HeaderMap| {
        let authenticated = authenticator.authenticate(&http::Method::GET, "/any", headers).await;
        authenticated.credentials().map(|credentials| credentials.identity)
    };
    let headers = |name: &'static str, value: &str| {
        let mut headers = http::HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    };
    let token = hs256(&alice());
    let cookie = headers("cookie", &format!("accessToken={token}"));
    let header = headers("authorization", &bearer(&alice()));
    let none = http::HeaderMap::new();
    for headers in [&header, &cookie] {
        assert_eq!(identity(headers).await.unwrap().user_id.as_str(), "alice");
    }
    let missing = identity(&none).await.unwrap_err();
    assert_eq!(missing.detail(), "Authentication error: No token provided");
    let wrong = sign(Algorithm::EdDSA, &ed25519(), None, &alice());
    let wrong = headers("authorization", &format!("Bearer {wrong}"));
    let binding = identity(&wrong).await.unwrap_err();
    assert_eq!(binding.detail(), "Authentication error: invalid algorithm");
}
