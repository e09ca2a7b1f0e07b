//! Refusals as Engine.IO's own server words them: clients of every language read
//! `{"code": 1, "message": "Session ID unknown"}` (Engine.IO protocol, and `Server.errors` of the Node
//! server), and a page may read them, too.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, ORIGIN, RETRY_AFTER},
};
use serde_json::json;

use crate::{
    error::{Code, Error},
    origin::OriginPolicy,
    rest::problem,
};

/// The words that have a code of their own, each with that.
const CODES: [(&str, u8); 5] = [
    (UNKNOWN_TRANSPORT, 0),
    (UNKNOWN_SESSION, 1),
    (BAD_METHOD, 2),
    (BAD_REQUEST, OTHER),
    (UNSUPPORTED_VERSION, 5),
];

pub(super) const UNKNOWN_TRANSPORT: &str = "Transport unknown";
pub(super) const UNKNOWN_SESSION: &str = "Session ID unknown";
pub(super) const BAD_METHOD: &str = "Bad handshake method";
pub(super) const UNSUPPORTED_VERSION: &str = "Unsupported protocol version";

pub(super) const BAD_REQUEST: &str = "Bad request";

const OTHER: u8 = 3;
const FORBIDDEN: u8 = 4;

/// Middleware of the Socket.IO door: words what it refuses.
pub(crate) async fn layer(
    State(origins): State<OriginPolicy>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let allowed = origins.allows(headers);
    let origin = headers.get(ORIGIN).filter(|_| allowed).cloned();
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<Arc<Error>>() else { return response };
    problem::log(&error, None);
    let mut refusal = word(&error);
    if allowed {
        OriginPolicy::apply(origin.as_ref(), refusal.headers_mut());
    }
    refusal
}

fn word(error: &Error) -> Response {
    let known = CODES.iter().find(|(words, _)| *words == error.detail()).map(|(_, code)| *code);
    let code = match error.code() {
        Code::Forbidden => FORBIDDEN,
        _ => known.unwrap_or(OTHER),
    };
    let body = Json(json!({ "code": code, "message": error.detail() }));
    let mut response = (error.code().status(), body).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(after) = error.retry_after() {
        headers.insert(RETRY_AFTER, problem::seconds(after).into());
    }
    response
}
