//! The endpoints, as they answer at commit 82ff19e4 of SHKeeper.

use std::{convert::Infallible, io};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, Request, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::{API_KEY, Endpoint, Fake, Fault, PASSWORD, USER, book::COINS, book::PayoutCall};

/// Marks an answer that is not sent: its connection ends instead.
#[derive(Clone)]
struct Dropped;

/// Serves until the test's runtime ends.
pub async fn run(listener: TcpListener, fake: Fake) {
    let router = Router::new()
        .route("/api/v1/crypto", get(coins))
        .route("/api/v1/{crypto}/payment_request", post(payment_request))
        .route("/api/v1/{crypto}/payout", post(payout))
        .route("/api/v1/{crypto}/payout/status", get(payout_status))
        .route("/api/v1/{crypto}/task/{task}", get(task))
        .with_state(fake);
    while let Ok((stream, _)) = listener.accept().await {
        let router = router.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = router.clone().oneshot(request.map(Body::new));
            async move {
                let response = answer.await.unwrap_or_else(|never: Infallible| match never {});
                if response.extensions().get::<Dropped>().is_some() {
                    return Err(io::Error::other("dropped"));
                }
                Ok(response)
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn coins() -> Json<Value> {
    let names: Vec<_> = COINS.iter().map(|(name, _)| *name).collect();
    let list: Vec<_> =
        COINS.iter().map(|(name, shown)| json!({ "name": name, "display_name": shown })).collect();
    Json(json!({ "status": "success", "crypto": names, "crypto_list": list }))
}

async fn payment_request(
    State(fake): State<Fake>,
    Path(crypto): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    if let Some(refusal) = key(&headers) {
        return refusal;
    }
    let work = || {
        if !is_on(&crypto) {
            return error(&format!("{crypto} payment gateway is unavailable"), None);
        }
        let asked = serde_json::from_str(&body).map_err(|error| error.to_string());
        match asked.and_then(|body| fake.book().request(&crypto, &body)) {
            Ok(answer) => Json(answer).into_response(),
            Err(message) => error(&message, Some("Traceback (most recent call last):\n  …")),
        }
    };
    faulty(&fake, Endpoint::PaymentRequest, work).await
}

async fn payout(
    State(fake): State<Fake>,
    Path(crypto): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    if let Some(refusal) = user(&headers) {
        return refusal;
    }
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    // An amount that is no text would have been a float on its way here.
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    fake.book().calls.push(PayoutCall {
        crypto: crypto.clone(),
        external_id: text("external_id"),
        amount: text("amount"),
        destination: text("destination"),
        fee: text("fee"),
        callback_url: text("callback_url"),
        paid: false,
    });
    let work = || {
        let known = is_on(&crypto).then_some(()).ok_or(format!("Unknown crypto: {crypto}"));
        let fee = body["fee"].is_string().then_some(()).ok_or("'fee'".to_owned());
        match known.and(fee).and_then(|()| fake.book().take_payout(fake.0.clock.now())) {
            Ok(answer) => Json(answer).into_response(),
            Err(message) => {
                let body = Json(json!({ "status": "error", "message": message }));
                (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
            }
        }
    };
    faulty(&fake, Endpoint::Payout, work).await
}

async fn task(
    State(fake): State<Fake>,
    Path((crypto, task)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = user(&headers) {
        return refusal;
    }
    let work = || {
        if is_on(&crypto) { Json(fake.book().task(&task)).into_response() } else { failure() }
    };
    faulty(&fake, Endpoint::Task, work).await
}

#[derive(Deserialize)]
struct Named {
    external_id: Option<String>,
}

async fn payout_status(
    State(fake): State<Fake>,
    Path(crypto): Path<String>,
    Query(Named { external_id }): Query<Named>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = key(&headers) {
        return refusal;
    }
    let work = || {
        let Some(external_id) = external_id.filter(|name| !name.is_empty()) else {
            let body = Json(json!({ "error": "external_id is required" }));
            return (StatusCode::BAD_REQUEST, body).into_response();
        };
        fake.book().payout_status(&crypto, &external_id).map_or_else(
            || {
                let body = Json(json!({ "error": "Payout not found" }));
                (StatusCode::NOT_FOUND, body).into_response()
            },
            |record| Json(record).into_response(),
        )
    };
    faulty(&fake, Endpoint::PayoutStatus, work).await
}

/// Does the work, unless the test has something else in mind.
async fn faulty(fake: &Fake, endpoint: Endpoint, work: impl FnOnce() -> Response) -> Response {
    let Some(fault) = fake.fault(endpoint) else {
        return work();
    };
    if let Fault::Answer500 { done: true }
    | Fault::Drop { done: true }
    | Fault::Hang { done: true } = fault
    {
        let _ = work();
    }
    match fault {
        Fault::Error => error("it did not work", Some("Traceback (most recent call last):\n  …")),
        Fault::Page => Html("<!doctype html><title>SHKeeper</title>").into_response(),
        Fault::Flood => " ".repeat(2_000_000).into_response(),
        Fault::Answer500 { .. } => failure(),
        Fault::Drop { .. } => {
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(Dropped);
            response
        }
        Fault::Hang { .. } => {
            fake.0.hanging.notify_one();
            std::future::pending().await
        }
    }
}

fn is_on(crypto: &str) -> bool {
    COINS.iter().any(|(name, _)| *name == crypto)
}

/// An error as most come: 200.
fn error(message: &str, traceback: Option<&str>) -> Response {
    let mut body = json!({ "status": "error", "message": message });
    if let Some(traceback) = traceback {
        body["traceback"] = json!(traceback);
    }
    Json(body).into_response()
}

/// An error that nobody caught.
fn failure() -> Response {
    let page = Html("<!doctype html><title>500 Internal Server Error</title>");
    (StatusCode::INTERNAL_SERVER_ERROR, page).into_response()
}

/// Why the key does not open it.
fn key(headers: &HeaderMap) -> Option<Response> {
    match headers.get("x-shkeeper-api-key") {
        None => Some(error("No API key", None)),
        Some(key) if key != API_KEY => Some(error("Bad API key", None)),
        Some(_) => None,
    }
}

/// Why the user may not.
fn user(headers: &HeaderMap) -> Option<Response> {
    let Some(credentials) = headers.get("authorization") else {
        return Some(if headers.contains_key("x-shkeeper-api-key") {
            error("This endpoint doesn't accept X-Shkeeper-Api-Key auth", None)
        } else {
            Redirect::to("/login").into_response()
        });
    };
    let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")));
    (credentials != expected.as_str()).then(|| error("Bad HTTP Basic Auth credentials", None))
}
