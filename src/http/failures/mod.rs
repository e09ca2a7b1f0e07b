//! What an operation can fail by, as the OpenAPI document shows it: each status, and an example of
//! each code.
//!
//! Most of it follows from what an operation takes: credentials, a body, an id in its path. That is
//! added to all of them here, written once. What is an operation's own its room declares with
//! [`failures!`](crate::failures), and the handler names it among its `responses`.

mod shared;

use std::collections::BTreeMap;

use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use utoipa::openapi::{
    Components, HeaderBuilder, Object, Ref, RefOr, Response, ResponseBuilder, Type,
    content::Content,
    example::{Example, ExampleBuilder},
    path::{Operation, ParameterIn},
    security::SecurityRequirement,
};

use self::shared::{ALL, Shared};
use super::{
    problem::Problem,
    request_id::{RequestId, X_REQUEST_ID},
};
use crate::{
    error::{Code, Error},
    id::Ids,
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

/// Declares failures of a room's own, to be named among the `responses` of a handler.
///
/// ```
/// stoa::failures! {
///     /// The account has fewer points than are to be taken.
///     InsufficientPoints = Conflict("insufficient_points"), "There are not that many points.";
///     /// The old password is wrong.
///     PasswordWrong = InvalidPayload("password_wrong") at "/oldPassword", "is not your password";
/// }
/// ```
#[macro_export]
macro_rules! failures {
    ($(
        $(#[doc = $when:literal])+
        $vis:vis $name:ident =
            $code:ident $(($reason:literal))? $(at $pointer:literal)?, $detail:literal;
    )+) => {$(
        $(#[doc = $when])+
        $vis enum $name {}

        impl ::utoipa::IntoResponses for $name {
            fn responses() -> ::std::collections::BTreeMap<
                ::std::string::String,
                ::utoipa::openapi::RefOr<::utoipa::openapi::Response>,
            > {
                $crate::http::failures::Failure {
                    when: concat!($($when),+),
                    code: $crate::error::Code::$code,
                    reason: [$($reason)?].first().copied(),
                    pointer: [$($pointer)?].first().copied(),
                    detail: $detail,
                }
                .declared()
            }
        }
    )+};
}

impl Failure {
    const fn new(when: &'static str, code: Code, detail: &'static str) -> Self {
        Self { when, code, reason: None, pointer: None, detail }
    }

    const fn named(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// Of a token, in the words of the handshake.
    const fn token(reason: &'static str, when: &'static str, detail: &'static str) -> Self {
        Self::new(when, Code::Unauthorized, detail).named(reason)
    }

    const fn at(self, pointer: &'static str) -> Self {
        Self { pointer: Some(pointer), ..self }
    }

    fn error(self) -> Error {
        let error = match self.pointer {
            Some(pointer) => Error::invalid(pointer, self.detail),
            None => Error::new(self.code, self.detail),
        };
        match self.reason {
            Some(reason) => error.with_reason(reason),
            None => error,
        }
    }

    fn status(self) -> StatusCode {
        self.code.status()
    }

    /// Its code and a problem that has it.
    fn example(self) -> (String, RefOr<Example>) {
        let error = self.error();
        let headers = [(X_REQUEST_ID, HeaderValue::from_static(REQUEST_ID))];
        let request = RequestId::take_or_make(&headers.into_iter().collect(), Ids);
        let problem = json!(Problem::new(&error, Some(&request)));
        let example = ExampleBuilder::new().summary(self.when.trim()).value(Some(problem));
        (error.code_name().to_owned(), example.into())
    }

    /// Itself among the responses of an operation, until [`complete`] puts it where its status is.
    #[must_use]
    pub fn declared(self) -> BTreeMap<String, RefOr<Response>> {
        let (code, example) = self.example();
        let status = self.status();
        let key = format!("{} {code}", status.as_u16());
        BTreeMap::from([(key, response(status, BTreeMap::from([(code, example)])).into())])
    }
}

/// The responses that operations share.
pub(super) fn share(components: &mut Components) {
    let responses = ALL.iter().map(|shared| {
        let response = response(shared.status(), shared.examples());
        (shared.name.to_owned(), response.into())
    });
    components.responses.extend(responses);
}

/// How an operation is called, as far as it is not told by the operation itself.
#[derive(Clone, Copy)]
pub(super) struct Called {
    /// Whether it is to change something.
    pub(super) changes: bool,
    /// Whether it takes an `Idempotency-Key`.
    pub(super) takes_key: bool,
}

/// Adds to an operation what it fails by, beside what it has declared itself.
pub(super) fn complete(operation: &mut Operation, called: Called) {
    let mut own: BTreeMap<u16, BTreeMap<String, RefOr<Example>>> = BTreeMap::new();
    let responses = &mut operation.responses.responses;
    let declared: Vec<_> = responses.keys().filter(|key| key.contains(' ')).cloned().collect();
    for key in declared {
        let status = key.split(' ').next().and_then(|status| status.parse().ok());
        let (Some(status), Some(RefOr::T(response))) = (status, responses.remove(&key)) else {
            continue;
        };
        for content in response.content.into_values() {
            if let RefOr::T(content) = content {
                own.entry(status).or_default().extend(content.examples);
            }
        }
    }
    for shared in what_fails(operation, called) {
        let status = shared.status().as_u16();
        if let Some(examples) = own.get_mut(&status) {
            for (code, example) in shared.examples() {
                examples.entry(code).or_insert(example);
            }
        } else {
            let shared = RefOr::Ref(Ref::from_response_name(shared.name));
            operation.responses.responses.insert(status.to_string(), shared);
        }
    }
    for (status, examples) in own {
        let code = StatusCode::from_u16(status).unwrap_or_default();
        operation.responses.responses.insert(status.to_string(), response(code, examples).into());
    }
}

/// What follows from what an operation takes.
fn what_fails(operation: &Operation, called: Called) -> Vec<&'static Shared> {
    let has = |of: ParameterIn| {
        let parameters = operation.parameters.iter().flatten();
        parameters.into_iter().any(
            |parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == of),
        )
    };
    let (path, query) = (has(ParameterIn::Path), has(ParameterIn::Query));
    let body = operation.request_body.is_some();
    let nobody = SecurityRequirement::default();
    let open =
        operation.security.as_ref().is_some_and(|ways| ways.iter().all(|way| *way == nobody));
    let first = |choices: &[(bool, &'static Shared)]| {
        choices.iter().find(|(is_so, _)| *is_so).map(|(_, shared)| *shared)
    };
    let when = |is_so: bool, shared: &'static Shared| is_so.then_some(shared);
    [
        first(&[
            (body, &shared::BAD_BODY),
            (called.takes_key, &shared::BAD_KEY),
            (path, &shared::BAD_PATH),
        ]),
        when(!open, &shared::UNAUTHORIZED),
        first(&[(!open, &shared::FORBIDDEN), (called.changes, &shared::FOREIGN_ORIGIN)]),
        when(body, &shared::TIMEOUT),
        when(called.takes_key, &shared::KEY_IN_USE),
        when(body, &shared::TOO_LARGE),
        when(body, &shared::NOT_JSON),
        first(&[
            (body && called.takes_key, &shared::INVALID_KEYED_BODY),
            (body, &shared::INVALID_BODY),
            (query, &shared::INVALID_PAGE),
            (path, &shared::INVALID_PATH),
        ]),
        Some(&shared::RATE_LIMITED),
        Some(&shared::INTERNAL),
        Some(&shared::UNAVAILABLE),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A failure of that status, with examples by their codes.
fn response(status: StatusCode, examples: BTreeMap<String, RefOr<Example>>) -> Response {
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
