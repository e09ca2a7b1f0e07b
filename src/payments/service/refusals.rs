//! What callers are told who can't have what they ask for.

use std::time::Duration;

use crate::{
    error::{Code, Error},
    payments::shkeeper::ProviderError,
};

/// When to try again what the provider did not answer.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What the caller is told of a provider that did not do what it was asked.
pub(super) fn not_done(error: ProviderError) -> Error {
    match error {
        ProviderError::Refused(_) => {
            Error::new(Code::Conflict, "The payment provider refused this.")
                .with_reason("provider_refused")
                .with_cause(error)
        }
        ProviderError::Unclear(_) | ProviderError::Unreachable(_) => {
            Error::new(Code::Unavailable, "The payment provider does not answer; try again.")
                .with_retry_after(RETRY_AFTER)
                .with_cause(error)
        }
    }
}

pub(super) fn conflict(sentence: &'static str) -> Error {
    Error::new(Code::Conflict, sentence)
}

pub(super) fn no_payment() -> Error {
    Error::new(Code::NotFound, "There is no such payment.")
}

pub(super) fn no_payout() -> Error {
    Error::new(Code::NotFound, "There is no such payout.")
}

/// There is no such request, for who may not pay for it either.
pub(super) fn no_request() -> Error {
    Error::new(Code::NotFound, "There is no such request.")
}

/// Nobody waits for a callback at this path.
pub(super) fn no_callback() -> Error {
    Error::new(Code::NotFound, "Nothing is known of this.")
}

pub(super) fn paid_out() -> Error {
    conflict("This payment is paid out already, or about to be.")
}
