//! Whether a callback comes from the SHKeeper that shares our key: an HMAC-SHA256 over the time and
//! the body's raw bytes (`webhook_hmac.py` of SHKeeper 82ff19e4).

use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{clock::Timestamp, config::WebhookMode};

const SIGNATURE: HeaderName = HeaderName::from_static("x-shkeeper-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-shkeeper-timestamp");
pub(super) const API_KEY: HeaderName = HeaderName::from_static("x-shkeeper-api-key");

/// How far a callback's time may be from ours, before or after, in seconds.
const TOLERANCE: u64 = 300;

/// Why a callback is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It has no signature, or a signature without a time.
    #[error("the callback is not signed")]
    Missing,
    /// Its signature or its time is not written as one, or is there twice.
    #[error("the callback's signature cannot be read")]
    Malformed,
    /// It is well signed, and more than five minutes old or ahead.
    #[error("the callback's signature is too old, or the clocks differ")]
    Expired,
    /// It was signed with another key, or changed on its way.
    #[error("the callback's signature is wrong")]
    Mismatch,
}

impl SignatureError {
    /// The reason as one word that stays the same, for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Expired => "expired",
            Self::Mismatch => "mismatch",
        }
    }
}

/// Whether a callback was sent by who has the key.
///
/// `raw` is the body as it arrived: written again, it would be other bytes. Where
/// [`WebhookMode::Legacy`] is configured and there is no signature, the API key in its header
/// counts; a signature that is there has to be right in either mode.
///
/// # Errors
/// Why it is not believed.
pub fn verify(
    key: &SecretString,
    mode: WebhookMode,
    headers: &HeaderMap,
    raw: &[u8],
    now: Timestamp,
) -> Result<(), SignatureError> {
    let Some(signature) = only(headers, &SIGNATURE)? else {
        return match (mode, only(headers, &API_KEY)?) {
            (WebhookMode::Legacy, Some(sent)) => same_key(key, sent),
            _ => Err(SignatureError::Missing),
        };
    };
    let signature = digest(signature).ok_or(SignatureError::Malformed)?;
    let time = only(headers, &TIMESTAMP)?.ok_or(SignatureError::Missing)?;
    let seconds = seconds(time).ok_or(SignatureError::Malformed)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes())
        .map_err(|_| SignatureError::Mismatch)?;
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(raw);
    // In constant time.
    mac.verify_slice(&signature).map_err(|_| SignatureError::Mismatch)?;
    // After the signature, so that who hears of a wrong time knows that the key is right.
    if now.seconds().abs_diff(seconds) > TOLERANCE {
        return Err(SignatureError::Expired);
    }
    Ok(())
}

/// The header's value; one that is there twice says nothing.
fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(SignatureError::Malformed) } else { Ok(first) }
}

/// 64 lower-case hex digits.
fn digest(text: &HeaderValue) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    let mut digest = [0; 32];
    let lower = !text.iter().any(u8::is_ascii_uppercase);
    (lower && hex::decode_to_slice(text, &mut digest).is_ok()).then_some(digest)
}

/// Seconds since 1970, of digits alone.
fn seconds(text: &HeaderValue) -> Option<i64> {
    let text = text.to_str().ok()?;
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// By their hashes, so that not even the key's length shows in the time.
fn same_key(key: &SecretString, sent: &HeaderValue) -> Result<(), SignatureError> {
    let (ours, theirs) = (Sha256::digest(key.expose_secret()), Sha256::digest(sent));
    if bool::from(ours.ct_eq(&theirs)) { Ok(()) } else { Err(SignatureError::Mismatch) }
}

#[cfg(test)]
mod tests;
