//! One failure, and the response that shows it.

use std::collections::BTreeMap;

use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use utoipa::openapi::{
    HeaderBuilder, Object, Ref, RefOr, Response, ResponseBuilder, Type,
    content::Content,
    example::{Example, ExampleBuilder},
};

use crate::{
    error::{Code, Error},
    id::Ids,
    rest::{
        problem::Problem,
        request_id::{RequestId, X_REQUEST_ID},
    },
};

/// What failures are written in.
const MEDIA_TYPE: &str = "application/problem+json";

/// The id that the examples have for their request.
const REQUEST_ID: &str = "019ab68d-0400-7000-8000-00000000f00d";

/// A failure by its code.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// When it happens, for people.
    pub when: &'static str,
    /// The code.
    pub code: Code,
    /// The finer name that clients see instead, where there is one.
    pub reason: Option<&'static str>,
    /// The field that is invalid, where it is one, as a JSON pointer.
    pub pointer: Option<&'static str>,
    /// What is said of it.
    pub detail: &'static str,
}

impl Failure {
    pub(super) const fn new(when: &'static str, code: Code, detail: &'static str) -> Self {
        Self { when, code, reason: None, pointer: None, detail }
    }

    pub(super) const fn named(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// Of a token, in the words of the handshake.
    pub(super) const fn token(
        reason: &'static str,
        when: &'static str,
        detail: &'static str,
    ) -> Self {
        Self::new(when, Code::Unauthorized, detail).named(reason)
    }

    pub(super) const fn at(self, pointer: &'static str) -> Self {
        Self { pointer: Some(pointer), ..self }
    }

    pub(super) fn error(self) -> Error {
        let error = match self.pointer {
            Some(pointer) => Error::invalid(pointer, self.detail),
            None => Error::new(self.code, self.detail),
        };
        match self.reason {
            Some(reason) => error.with_reason(reason),
            None => error,
        }
    }

    pub(super) fn status(self) -> StatusCode {
        self.code.status()
    }

    /// Its code and a problem that has it.
    pub(super) fn example(self) -> (String, RefOr<Example>) {
        let error = self.error();
        let headers = [(X_REQUEST_ID, HeaderValue::from_static(REQUEST_ID))];
        let request = RequestId::take_or_make(&headers.into_iter().collect(), Ids);
        let problem = json!(Problem::new(&error, Some(&request)));
        let example = ExampleBuilder::new().summary(self.when.trim()).value(Some(problem));
        (error.code_name().to_owned(), example.into())
    }

    /// Itself among the responses of an operation, until `complete` puts it where its status is.
    #[must_use]
    pub fn declared(self) -> BTreeMap<String, RefOr<Response>> {
        let (code, example) = self.example();
        let status = self.status();
        let key = format!("{} {code}", status.as_u16());
        BTreeMap::from([(key, response(status, BTreeMap::from([(code, example)])).into())])
    }
}

/// A failure of that status, with examples by their codes.
pub(super) fn response(status: StatusCode, examples: BTreeMap<String, RefOr<Example>>) -> Response {
    let mut content = Content::new(Some(Ref::from_schema_name("Problem")));
    content.examples = examples;
    let mut response =
        ResponseBuilder::new().description(meaning(status)).content(MEDIA_TYPE, content);
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        let seconds = HeaderBuilder::new()
            .schema(Some(Object::with_type(Type::Integer)))
            .description(Some("After how many seconds to try again, where that is known."))
            .example(Some(Value::from(1)));
        response = response.header("Retry-After", seconds.build());
    }
    response.build()
}

/// What a status says, whatever the code.
fn meaning(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "The request can't be read.",
        401 => "There are no valid credentials.",
        403 => "The caller may not do this.",
        404 => "It does not exist, or the caller may not know of it.",
        408 => "The body took too long to arrive.",
        409 => "The current state does not allow this.",
        413 => "The body is too large.",
        415 => "The body is not JSON.",
        422 => "A field or a parameter is invalid.",
        429 => "Too many requests.",
        503 => "The server is not able to do this now.",
        _ => "The server failed.",
    }
}
