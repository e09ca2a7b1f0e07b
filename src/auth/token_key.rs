//! What a revoked token is remembered by.

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::Id;

/// What names a token, or several, by a hash of it: it may be long, and is nobody's to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TokenKey([u8; 16]);

impl TokenKey {
    /// That of one token, by what is signed of it. Of some signatures there is more than one spelling.
    #[must_use]
    pub fn of_signed(message: &str) -> Self {
        Self::of_parts(&["token", message])
    }

    /// That of a user's tokens of this id (`jti`).
    #[must_use]
    pub fn of_users(user: &Id, jti: &str) -> Self {
        Self::of_parts(&["jti", user.as_str(), jti])
    }

    /// That of a token's id (`jti`), whosever it is.
    #[must_use]
    pub fn of(jti: &str) -> Self {
        Self::first_of(Sha256::digest(jti).into())
    }

    /// That of all tokens of one sign-in, by its id (`sid`).
    #[must_use]
    pub fn of_session(id: &str) -> Self {
        Self::of_parts(&["sid", id])
    }

    /// Of parts none of which but the last has a NUL.
    fn of_parts(parts: &[&str]) -> Self {
        Self::first_of(Sha256::digest(parts.join("\0")).into())
    }

    fn first_of(hash: [u8; 32]) -> Self {
        let mut first = [0; 16];
        first.copy_from_slice(&hash[..16]);
        Self(first)
    }
}

/// In hexadecimal digits.
impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl FromStr for TokenKey {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        u128::from_str_radix(text, 16).map(|key| Self(key.to_be_bytes()))
    }
}
