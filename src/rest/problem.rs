//! Failures as `application/problem+json` (RFC 9457): the one place where an [`Error`] of a handler
//! becomes an HTTP answer, and is logged.

use std::{any::Any, net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{client_address::ClientAddress, request_id::RequestId};
use crate::{
    error::{Code, Error, FieldError},
    log_limit,
};

/// The body of a failed request.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `urn:stoa:error:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The code in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What went wrong this time.
    detail: String,
    /// The stable code, for programs.
    code: &'static str,
    /// Names this request in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// The invalid fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

impl Problem {
    /// The public face of an error.
    #[must_use]
    pub fn new(error: &Error, request_id: Option<&RequestId>) -> Self {
        let code = error.code_name();
        let detail = match (error.code(), request_id) {
            (Code::Internal, Some(_)) => "The server failed; the request id tells us where.",
            _ => error.detail(),
        };
        Self {
            kind: format!("urn:stoa:error:{code}"),
            title: title(code),
            status: error.code().status().as_u16(),
            detail: detail.to_owned(),
            code,
            request_id: request_id.map(ToString::to_string),
            errors: error.fields().to_vec(),
        }
    }
}

/// `not_found` as `Not found`.
fn title(code: &str) -> String {
    let mut words = code.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// Middleware: turns the error that an answer carries, or a bare failure of axum's own, into a
/// problem, and logs it once.
pub async fn layer(request: Request, next: Next) -> Response {
    let request_id = request.extensions().get::<RequestId>().cloned();
    let address = request.extensions().get().map(|ClientAddress(address)| *address);
    let mut response = next.run(request).await;
    let error = match response.extensions_mut().remove::<Arc<Error>>() {
        Some(error) => error,
        None => match bare(&response) {
            Some(error) => Arc::new(error),
            None => return response,
        },
    };
    log(&error, address);
    render(&error, request_id.as_ref(), response.headers())
}

/// Turns a panic into an answer, for `CatchPanicLayer::custom`.
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast::<String>()
        .map(|text| *text)
        .or_else(|panic| panic.downcast::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|_| "no message".to_owned());
    Error::internal(format!("panicked: {message}")).into_response()
}

fn render(error: &Error, request_id: Option<&RequestId>, headers: &HeaderMap) -> Response {
    let problem = Json(Problem::new(error, request_id));
    let mut response = (error.code().status(), problem).into_response();
    let answer = response.headers_mut();
    // What was said beside the bare status stays, such as `Allow`.
    for (name, value) in headers {
        if name != CONTENT_LENGTH && name != CONTENT_TYPE {
            answer.append(name, value.clone());
        }
    }
    answer.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(after) = error.retry_after() {
        answer.insert(RETRY_AFTER, seconds(after).into());
    }
    if error.code() == Code::Unauthorized && !answer.contains_key(WWW_AUTHENTICATE) {
        answer.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Whole seconds, rounded up, at least one.
pub(crate) fn seconds(duration: Duration) -> u64 {
    let rest = u64::from(duration.subsec_nanos() > 0);
    (duration.as_secs() + rest).max(1)
}

/// The error behind a failure that has no body worth keeping: axum's rejections and fallbacks are
/// empty or plain text, what a handler says on purpose is not.
fn bare(response: &Response) -> Option<Error> {
    let body = response.headers().get(CONTENT_TYPE);
    if body.is_some_and(|kind| !kind.as_bytes().starts_with(b"text/plain")) {
        return None;
    }
    let (code, detail) = match response.status() {
        StatusCode::BAD_REQUEST => (Code::Malformed, "The request can't be read."),
        StatusCode::UNAUTHORIZED => (Code::Unauthorized, "There are no valid credentials."),
        StatusCode::FORBIDDEN => (Code::Forbidden, "You may not do this."),
        StatusCode::NOT_FOUND => (Code::NotFound, "There is nothing here."),
        StatusCode::METHOD_NOT_ALLOWED => {
            (Code::MethodNotAllowed, "This path does not take this method.")
        }
        StatusCode::REQUEST_TIMEOUT => (Code::Timeout, "The request took too long to arrive."),
        StatusCode::CONFLICT => (Code::Conflict, "The current state does not allow this."),
        StatusCode::PAYLOAD_TOO_LARGE => {
            (Code::TooLarge, "The body is larger than this server takes.")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            (Code::UnsupportedMediaType, "The body must be JSON.")
        }
        StatusCode::UNPROCESSABLE_ENTITY => (Code::InvalidPayload, "The payload is invalid."),
        StatusCode::TOO_MANY_REQUESTS => (Code::RateLimited, "Too many requests; try later."),
        StatusCode::SERVICE_UNAVAILABLE => (Code::Unavailable, "Not able to now; try later."),
        status if status.is_server_error() => {
            return Some(Error::internal(format!("a bare {status}")));
        }
        _ => return None,
    };
    Some(Error::new(code, detail))
}

/// A client's mistakes are told by code alone: their details may quote what was sent.
pub(crate) fn log(error: &Error, address: Option<IpAddr>) {
    let code = error.code_name();
    if !error.code().status().is_server_error() {
        tracing::debug!(code, "request refused");
        return;
    }
    let cause = error.causes().unwrap_or_default();
    if let Some(left_out) = log_limit::admit(code, address, &cause) {
        tracing::error!(code, detail = error.detail(), cause, left_out, "request failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Ids;

    #[test]
    fn a_title_is_the_code_in_words() {
        assert_eq!(title("not_found"), "Not found");
        assert_eq!(title("internal"), "Internal");
    }

    #[test]
    fn a_failure_of_ours_speaks_of_the_request_id_where_there_is_one() {
        let error = Error::internal("private");
        assert_eq!(Problem::new(&error, None).detail, "The server failed.");
        let id = RequestId::take_or_make(&HeaderMap::new(), Ids);
        let problem = Problem::new(&error, Some(&id));
        assert_eq!(problem.detail, "The server failed; the request id tells us where.");
    }

    #[test]
    fn retry_after_is_rounded_up_and_never_zero() {
        for (millis, expected) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(seconds(Duration::from_millis(millis)), expected, "{millis} ms");
        }
    }
}
