//! How what is sent to backends is signed: an HMAC-SHA256 over its id, its time and its bytes, as
//! Standard Webhooks has it (standardwebhooks.com, "Signature scheme"), so that a backend verifies it
//! with a library.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

/// What names what is sent.
pub const ID: &str = "webhook-id";

/// When it is sent, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";

/// What it is signed with: `v1,` and the MAC in base64, once for each secret.
pub const SIGNATURE: &str = "webhook-signature";

/// How a secret begins, before its base64.
const PREFIX: &str = "whsec_";

/// The fewest bytes of a secret (Standard Webhooks, "Symmetric").
const MIN_BYTES: usize = 24;

/// Secrets that a backend verifies with: one, or the next and the last while they are changed.
#[derive(Debug)]
pub struct SigningKeys(Box<[SecretSlice<u8>]>);

/// Why a text is no list of secrets; the text itself is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "has to be whsec_ and the base64 of at least 24 random bytes; two of them, with a comma \
     between, while it is changed"
)]
pub struct InvalidSecret;

impl SigningKeys {
    /// Reads a secret, or several with commas between.
    ///
    /// # Errors
    /// [`InvalidSecret`]
    pub fn read(text: &SecretString) -> Result<Self, InvalidSecret> {
        let secrets = text.expose_secret().split(',').map(|secret| {
            let encoded = secret.trim().strip_prefix(PREFIX).ok_or(InvalidSecret)?;
            let key = BASE64_STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
            if key.len() < MIN_BYTES { Err(InvalidSecret) } else { Ok(key.into()) }
        });
        secrets.collect::<Result<_, _>>().map(Self)
    }

    /// The value of the header [`SIGNATURE`], for the values of the two others and the bytes of the
    /// body.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let signatures = self.0.iter().filter_map(|key| {
            // A key of any length is taken.
            let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret()).ok()?;
            for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                mac.update(part);
            }
            Some(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn read(secret: &str) -> Result<SigningKeys, InvalidSecret> {
        SigningKeys::read(&secret.into())
    }

    /// The example that Standard Webhooks' own libraries are tested with.
    #[test]
    fn it_signs_as_the_standard_does() {
        let body = br#"{"test": 2432232314}"#;
        let (id, timestamp) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(read(SECRET).unwrap().sign(id, timestamp, body), expected);
        let next = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let both = read(&format!("{next}, {SECRET}")).unwrap().sign(id, timestamp, body);
        let (first, second) = both.split_once(' ').unwrap();
        assert!(first.starts_with("v1,") && first != expected, "{first}");
        assert_eq!(second, expected);
    }

    #[test]
    fn what_is_no_secret_is_refused_and_none_is_shown() {
        let short = format!("whsec_{}", BASE64_STANDARD.encode([7; MIN_BYTES - 1]));
        for bad in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_not base64", &short] {
            assert_eq!(read(bad).unwrap_err(), InvalidSecret, "{bad:?}");
        }
        assert_eq!(read(&format!("{SECRET},")).unwrap_err(), InvalidSecret);
        assert!(!format!("{:?}", read(SECRET).unwrap()).contains("MfKQ"));
    }
}
