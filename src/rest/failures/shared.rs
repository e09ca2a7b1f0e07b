//! What operations fail by that take the same, each written once.

use std::collections::BTreeMap;

use http::StatusCode;
use utoipa::openapi::{RefOr, example::Example};

use super::failure::Failure;
use crate::error::Code;

/// What any operation that takes the same fails by: a response that they share.
pub(super) struct Shared {
    pub(super) name: &'static str,
    /// All of one status.
    failures: &'static [Failure],
}

impl Shared {
    pub(super) fn status(&self) -> StatusCode {
        self.failures[0].status()
    }

    pub(super) fn examples(&self) -> BTreeMap<String, RefOr<Example>> {
        self.failures.iter().copied().map(Failure::example).collect()
    }
}

pub(super) const BAD_BODY: Shared = Shared {
    name: "MalformedBody",
    failures: &[Failure::new(
        "The body is not JSON, or did not arrive whole.",
        Code::Malformed,
        "The body is not JSON: expected value at line 1 column 1.",
    )],
};

pub(super) const BAD_KEY: Shared = Shared {
    name: "MalformedKey",
    failures: &[Failure::new(
        "The `Idempotency-Key` is none.",
        Code::Malformed,
        "Idempotency-Key has 1–255 visible ASCII characters, once.",
    )],
};

pub(super) const BAD_PATH: Shared = Shared {
    name: "MalformedPath",
    failures: &[Failure::new("The path is not UTF-8.", Code::Malformed, "The path is not UTF-8.")],
};

pub(super) const BAD_ACT_AS: Shared = Shared {
    name: "MalformedActAs",
    failures: &[Failure::new(
        "`X-Act-As` is no user's id.",
        Code::Malformed,
        "X-Act-As is the id of one user, in UTF-8.",
    )],
};

pub(super) const UNAUTHORIZED: Shared = Shared {
    name: "Unauthorized",
    failures: &[
        Failure::token(
            "token_missing",
            "There is no token.",
            "Authentication error: No token provided",
        ),
        Failure::token(
            "token_expired",
            "The token has expired.",
            "Authentication error: jwt expired",
        ),
        Failure::token(
            "token_malformed",
            "The token is no JWT.",
            "Authentication error: jwt malformed",
        ),
        Failure::token(
            "token_signature_invalid",
            "No known key signed the token.",
            "Authentication error: invalid signature",
        ),
        Failure::token(
            "token_invalid",
            "A part or a claim of the token is invalid.",
            "Authentication error: invalid token",
        ),
        Failure::token(
            "token_user_invalid",
            "The token names no user.",
            "Authentication error: invalid user id",
        ),
        Failure::token(
            "token_not_active",
            "The token is not valid yet.",
            "Authentication error: jwt not active",
        ),
        Failure::token(
            "token_algorithm_invalid",
            "The algorithm is not accepted.",
            "Authentication error: invalid algorithm",
        ),
        Failure::token(
            "token_audience_invalid",
            "The token is for another audience.",
            "Authentication error: jwt audience invalid. expected: stoa",
        ),
        Failure::token(
            "token_issuer_invalid",
            "The token is of another issuer.",
            "Authentication error: jwt issuer invalid. expected: https://login.example.com",
        ),
        Failure::token(
            "token_revoked",
            "The token was revoked.",
            "Authentication error: token revoked",
        ),
        Failure::new("The API key is unknown.", Code::Unauthorized, "invalid API key")
            .named("api_key_invalid"),
    ],
};

pub(super) const FORBIDDEN: Shared = Shared {
    name: "Forbidden",
    failures: &[
        Failure::new(
            "The caller lacks the role or the ownership, the API key is narrowed to other things or \
             lacks the scope `act`, or a page of a foreign origin asks for a change.",
            Code::Forbidden,
            "This needs an API key that is not narrowed to some emits.",
        ),
        Failure::new("The user is blocked.", Code::Forbidden, "This user is blocked.")
            .named("user_blocked"),
        Failure::new(
            "The user for whom a service acts is being erased.",
            Code::Forbidden,
            "This user is being erased.",
        )
        .named("user_leaving"),
    ],
};

pub(super) const FOREIGN_ORIGIN: Shared = Shared {
    name: "ForeignOrigin",
    failures: &[Failure::new(
        "A page of an origin that is not allowed calls.",
        Code::Forbidden,
        "This origin may not call this server.",
    )],
};

pub(super) const TIMEOUT: Shared = Shared {
    name: "Timeout",
    failures: &[Failure::new(
        "The body did not arrive in time.",
        Code::Timeout,
        "The body took too long to arrive.",
    )],
};

pub(super) const KEY_IN_USE: Shared = Shared {
    name: "KeyInUse",
    failures: &[Failure::new(
        "A request with the same `Idempotency-Key` is not answered yet.",
        Code::Conflict,
        "A request with this Idempotency-Key is still being carried out.",
    )],
};

pub(super) const TOO_LARGE: Shared = Shared {
    name: "TooLarge",
    failures: &[Failure::new(
        "The body is larger than the limit.",
        Code::TooLarge,
        "The body is larger than this server takes.",
    )],
};

pub(super) const NOT_JSON: Shared = Shared {
    name: "UnsupportedMediaType",
    failures: &[Failure::new(
        "The `Content-Type` is not JSON.",
        Code::UnsupportedMediaType,
        "The body must be JSON, and say so: Content-Type: application/json.",
    )],
};

pub(super) const INVALID_BODY: Shared = Shared { name: "InvalidBody", failures: &[INVALID_FIELD] };

pub(super) const INVALID_KEYED_BODY: Shared = Shared {
    name: "InvalidKeyedBody",
    failures: &[Failure {
        when: "Fields are missing, unknown or invalid; all of them are named. Or the \
               `Idempotency-Key` came with another body before.",
        ..INVALID_FIELD
    }],
};

const INVALID_FIELD: Failure = Failure::new(
    "Fields are missing, unknown or invalid; all of them are named.",
    Code::InvalidPayload,
    "is not a known field",
)
.at("/colour");

pub(super) const INVALID_PAGE: Shared = Shared {
    name: "InvalidPage",
    failures: &[Failure::new(
        "A parameter of the query or of the path is invalid.",
        Code::InvalidPayload,
        "must be from 1 to 100",
    )
    .at("/limit")],
};

pub(super) const INVALID_PATH: Shared = Shared {
    name: "InvalidPath",
    failures: &[Failure::new(
        "A parameter of the path is invalid.",
        Code::InvalidPayload,
        "an id has 1–256 characters, none of them white space or a control character",
    )
    .at("/id")],
};

pub(super) const INVALID_QUERY: Shared = Shared {
    name: "InvalidQuery",
    failures: &[Failure::new(
        "The query has a parameter that is not known.",
        Code::InvalidPayload,
        "is not a known parameter",
    )
    .at("/page")],
};

pub(super) const RATE_LIMITED: Shared = Shared {
    name: "RateLimited",
    failures: &[Failure::new(
        "The caller asks too often.",
        Code::RateLimited,
        "Too many requests; try again in a moment.",
    )],
};

pub(super) const INTERNAL: Shared = Shared {
    name: "Internal",
    failures: &[Failure::new("The server failed.", Code::Internal, "The server failed.")],
};

pub(super) const UNAVAILABLE: Shared = Shared {
    name: "Unavailable",
    failures: &[Failure::new(
        "The store is away, or too much is under way.",
        Code::Unavailable,
        "The store is not available; try again.",
    )],
};

pub(super) const ALL: [&Shared; 19] = [
    &BAD_ACT_AS,
    &BAD_BODY,
    &BAD_KEY,
    &BAD_PATH,
    &UNAUTHORIZED,
    &FORBIDDEN,
    &FOREIGN_ORIGIN,
    &TIMEOUT,
    &KEY_IN_USE,
    &TOO_LARGE,
    &NOT_JSON,
    &INVALID_BODY,
    &INVALID_KEYED_BODY,
    &INVALID_PAGE,
    &INVALID_PATH,
    &INVALID_QUERY,
    &RATE_LIMITED,
    &INTERNAL,
    &UNAVAILABLE,
];
