//! Why a token is refused, in the words that Node's servers send
//! (docs/contract/events.md#handshake): clients in production compare these strings.

use std::time::Duration;

use crate::error::{Code, Error};

/// Why a token is refused. `Display` is the handshake's `connect_error` message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is none.
    #[error("Authentication error: No token provided")]
    Missing,
    /// `exp` has passed.
    #[error("Authentication error: jwt expired")]
    Expired,
    /// Not three parts, or too long to be one.
    #[error("Authentication error: jwt malformed")]
    Malformed,
    /// No known key made the signature.
    #[error("Authentication error: invalid signature")]
    Signature,
    /// A part can't be read, or a claim or header is not acceptable.
    #[error("Authentication error: invalid token")]
    Invalid,
    /// The user's id is none.
    #[error("Authentication error: invalid user id")]
    UserId,
    /// `nbf` lies in the future.
    #[error("Authentication error: jwt not active")]
    NotActive,
    /// Signed in a way that no key of ours is for.
    #[error("Authentication error: invalid algorithm")]
    Algorithm,
    /// `aud` is not the configured one, given here.
    #[error("Authentication error: jwt audience invalid. expected: {0}")]
    Audience(Box<str>),
    /// `iss` is not the configured one, given here.
    #[error("Authentication error: jwt issuer invalid. expected: {0}")]
    Issuer(Box<str>),
    /// It is revoked, or older than what its user may use.
    #[error("Authentication error: token revoked")]
    Revoked,
    /// Its user is blocked. Said in the words of a revoked token, which handshakes know.
    #[error("Authentication error: token revoked")]
    Blocked,
    /// The JWKS could not be loaded since the start, so nothing is known of the token.
    #[error("Authentication error: keys unavailable")]
    KeysUnavailable,
}

/// When to ask again after [`TokenError::KeysUnavailable`].
const KEYS_RETRY: Duration = Duration::from_secs(5);

impl TokenError {
    /// The stable code of REST's answer.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::Expired => "token_expired",
            Self::Malformed => "token_malformed",
            Self::Signature => "token_signature_invalid",
            Self::Invalid => "token_invalid",
            Self::UserId => "token_user_invalid",
            Self::NotActive => "token_not_active",
            Self::Algorithm => "token_algorithm_invalid",
            Self::Audience(_) => "token_audience_invalid",
            Self::Issuer(_) => "token_issuer_invalid",
            Self::Revoked => "token_revoked",
            Self::Blocked => "user_blocked",
            Self::KeysUnavailable => Code::Unavailable.as_str(),
        }
    }
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        let detail = error.to_string();
        match error {
            TokenError::KeysUnavailable => {
                Self::new(Code::Unavailable, detail).with_retry_after(KEYS_RETRY)
            }
            // Another token would not help.
            TokenError::Blocked => {
                Self::new(Code::Forbidden, "This user is blocked.").with_reason(error.code())
            }
            _ => Self::new(Code::Unauthorized, detail).with_reason(error.code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_are_those_of_the_contract() {
        for (error, message, code) in [
            (TokenError::Missing, "No token provided", "token_missing"),
            (TokenError::Expired, "jwt expired", "token_expired"),
            (TokenError::Malformed, "jwt malformed", "token_malformed"),
            (TokenError::Signature, "invalid signature", "token_signature_invalid"),
            (TokenError::Invalid, "invalid token", "token_invalid"),
            (TokenError::UserId, "invalid user id", "token_user_invalid"),
            (TokenError::NotActive, "jwt not active", "token_not_active"),
            (TokenError::Algorithm, "invalid algorithm", "token_algorithm_invalid"),
            (
                TokenError::Audience("web".into()),
                "jwt audience invalid. expected: web",
                "token_audience_invalid",
            ),
            (
                TokenError::Issuer("us".into()),
                "jwt issuer invalid. expected: us",
                "token_issuer_invalid",
            ),
            (TokenError::Revoked, "token revoked", "token_revoked"),
        ] {
            let message = format!("Authentication error: {message}");
            assert_eq!(error.to_string(), message);
            let rest = Error::from(error);
            assert_eq!((rest.code(), rest.detail()), (Code::Unauthorized, message.as_str()));
            assert_eq!(rest.code_name(), code);
        }
    }

    #[test]
    fn a_blocked_user_is_refused_whatever_the_token() {
        assert_eq!(TokenError::Blocked.to_string(), "Authentication error: token revoked");
        let rest = Error::from(TokenError::Blocked);
        assert_eq!((rest.code(), rest.code_name()), (Code::Forbidden, "user_blocked"));
    }

    #[test]
    fn keys_that_are_away_are_the_servers_fault() {
        let rest = Error::from(TokenError::KeysUnavailable);
        assert_eq!((rest.code(), rest.code_name()), (Code::Unavailable, "unavailable"));
        assert!(rest.retry_after().is_some());
    }
}
