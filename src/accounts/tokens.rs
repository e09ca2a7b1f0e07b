//! Tokens that are no JWTs: random, given once, and kept as their SHA-256 only.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// Random bytes of a token, and of each part of one.
const BYTES: usize = 32;

/// A refresh token: the key of its family, the same in all of them, and its secret, in which it
/// alone serves.
pub(super) struct RefreshToken {
    key: [u8; BYTES],
    secret: [u8; BYTES],
}

impl RefreshToken {
    /// The first of a new family.
    pub(super) fn first() -> Self {
        Self { key: rand::random(), secret: rand::random() }
    }

    /// The one after this.
    pub(super) fn next(&self) -> Self {
        Self { key: self.key, secret: rand::random() }
    }

    /// Reads a token that was given; none when it can't be one of ours.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (key, secret) = text.split_once('.')?;
        Some(Self { key: decode(key)?, secret: decode(secret)? })
    }

    /// As its owner is given it.
    pub(super) fn to_text(&self) -> String {
        format!("{}.{}", URL_SAFE_NO_PAD.encode(self.key), URL_SAFE_NO_PAD.encode(self.secret))
    }

    /// What is kept of the family's key.
    pub(super) fn key_hash(&self) -> Vec<u8> {
        Sha256::digest(self.key).to_vec()
    }

    /// What is kept of its secret.
    pub(super) fn secret_hash(&self) -> Vec<u8> {
        Sha256::digest(self.secret).to_vec()
    }
}

/// A token that sets a new password.
pub(super) struct ResetToken([u8; BYTES]);

impl ResetToken {
    /// A new one.
    pub(super) fn new() -> Self {
        Self(rand::random())
    }

    /// Reads a token that was given; none when it can't be one of ours.
    pub(super) fn read(text: &str) -> Option<Self> {
        decode(text).map(Self)
    }

    /// As its owner is given it.
    pub(super) fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What is kept of it.
    pub(super) fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0).to_vec()
    }
}

/// Random bytes as they are written, in the one way there is.
fn decode(text: &str) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    (length == BYTES).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_reads_back_and_its_family_goes_on() {
        let first = RefreshToken::first();
        let read = RefreshToken::read(&first.to_text()).unwrap();
        assert_eq!((read.key_hash(), read.secret_hash()), (first.key_hash(), first.secret_hash()));
        let next = first.next();
        assert_eq!(next.key_hash(), first.key_hash());
        assert_ne!(next.secret_hash(), first.secret_hash());
        assert_ne!(RefreshToken::first().key_hash(), first.key_hash());
    }

    #[test]
    fn what_is_no_token_is_none() {
        let half = ResetToken::new().to_text();
        assert!(ResetToken::read(&half).is_some());
        for bad in ["", ".", &half[1..], &format!("{half}A"), &format!("{half}=")] {
            assert!(ResetToken::read(bad).is_none(), "{bad:?}");
        }
        for bad in [&half, &format!("{half}."), &format!("{half}.{half}.{half}")] {
            assert!(RefreshToken::read(bad).is_none(), "{bad:?}");
        }
    }
}
