//! What an operation can fail by, as the OpenAPI document shows it: each status, and an example of
//! each code.
//!
//! Most of it follows from what an operation takes: credentials, a body, an id in its path. That is
//! added to all of them here, written once. What is an operation's own its room declares with
//! [`failures!`](crate::failures), and the handler names it among its `responses`.

mod failure;
mod shared;

use std::collections::BTreeMap;

use http::StatusCode;
use utoipa::openapi::{
    Components, Ref, RefOr,
    example::Example,
    path::{Operation, ParameterIn},
    security::SecurityRequirement,
};

pub use self::failure::Failure;
use self::{
    failure::response,
    shared::{ALL, Shared},
};

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
                $crate::rest::failures::Failure {
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

failures! {
    /// A service does not say for whom it does what a person does.
    pub NoPerson = InvalidPayload("person_missing"),
        "A service names the user for whom it does this, in X-Act-As.";
}

/// The responses that operations share.
pub(super) fn add_shared(components: &mut Components) {
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
    /// Whether a service may call it for a user.
    pub(super) takes_act_as: bool,
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

/// Whether an operation needs no credentials.
pub(in crate::rest) fn is_open(operation: &Operation) -> bool {
    let nobody = SecurityRequirement::default();
    operation.security.as_ref().is_some_and(|ways| ways.iter().all(|way| *way == nobody))
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
    let open = is_open(operation);
    let first = |choices: &[(bool, &'static Shared)]| {
        choices.iter().find(|(is_so, _)| *is_so).map(|(_, shared)| *shared)
    };
    let when = |is_so: bool, shared: &'static Shared| is_so.then_some(shared);
    [
        first(&[
            (body, &shared::BAD_BODY),
            (called.takes_key, &shared::BAD_KEY),
            (path, &shared::BAD_PATH),
            (called.takes_act_as && !open, &shared::BAD_ACT_AS),
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
            (true, &shared::INVALID_QUERY),
        ]),
        Some(&shared::RATE_LIMITED),
        Some(&shared::INTERNAL),
        Some(&shared::UNAVAILABLE),
    ]
    .into_iter()
    .flatten()
    .collect()
}
