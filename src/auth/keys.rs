//! Keys that verify tokens: from a secret, a PEM or a JWK. A public key is for one algorithm only and
//! a secret for HMAC only, so that a token can't choose how its signature is checked.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, crypto};
use serde::Deserialize;
use serde_json::Value;

use super::TokenError;
use crate::config::{MIN_SECRET_BYTES, ShortSecret};

/// The signed text of a token, and what its header says of the signature.
pub(super) struct Signed<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<Box<str>>,
    pub(super) message: &'a str,
    pub(super) signature: &'a str,
}

impl Signed<'_> {
    /// Checks the signature with a key that is for the token's algorithm.
    pub(super) fn check(&self, key: &DecodingKey) -> Result<(), TokenError> {
        match crypto::verify(self.signature, self.message.as_bytes(), key, self.algorithm) {
            Ok(true) => Ok(()),
            // Also when it can't be decoded, as after a change of its last character.
            Ok(false) | Err(_) => Err(TokenError::Signature),
        }
    }
}

/// The hashes of a shared secret.
const HMAC: &[Algorithm] = &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

/// A key and what it is for: one algorithm, or, for a secret, HMAC with any of its hashes.
pub(super) struct Key {
    algorithms: &'static [Algorithm],
    key: DecodingKey,
}

impl Key {
    /// A shared secret.
    pub(super) fn from_secret(secret: &[u8]) -> Self {
        Self { algorithms: HMAC, key: DecodingKey::from_secret(secret) }
    }

    /// A key that its algorithm can use: the library takes some keys that it fails on later.
    fn new(algorithm: Algorithm, key: DecodingKey) -> Option<Self> {
        let usable = match (algorithm, key.kind()) {
            // RSA of 2048–4096 bits, by the modulus or by the DER around it.
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, .. }) => {
                (256..=512).contains(&n.len())
            }
            (Algorithm::RS256, DecodingKeyKind::SecretOrDer(der)) => {
                (256..=540).contains(&der.len())
            }
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => point.len() == 65,
            (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(point)) => point.len() == 32,
            _ => false,
        };
        // A point off the curve shows when the key is first used.
        let usable = usable && crypto::verify("", b"", &key, algorithm).is_ok();
        let algorithms: &[Algorithm] = match algorithm {
            Algorithm::RS256 => &[Algorithm::RS256],
            Algorithm::ES256 => &[Algorithm::ES256],
            _ => &[Algorithm::EdDSA],
        };
        usable.then_some(Self { algorithms, key })
    }

    /// Reads a public key or a certificate in PEM: RSA for RS256, P-256 for ES256, Ed25519 for
    /// `EdDSA`. `None` when it is no such key, or a private one.
    fn from_pem(pem: &str) -> Option<Self> {
        if pem.contains("PRIVATE KEY") {
            return None;
        }
        let pem = pem.as_bytes();
        let read = |algorithm, key: jsonwebtoken::errors::Result<DecodingKey>| {
            key.ok().and_then(|key| Self::new(algorithm, key))
        };
        read(Algorithm::RS256, DecodingKey::from_rsa_pem(pem))
            .or_else(|| read(Algorithm::ES256, DecodingKey::from_ec_pem(pem)))
            .or_else(|| read(Algorithm::EdDSA, DecodingKey::from_ed_pem(pem)))
    }

    /// Reads a JWK; `None` when it is for something else than verifying.
    fn from_jwk(jwk: &Jwk, short: ShortSecret) -> Result<Option<Self>, &'static str> {
        let purpose = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        let verifies = jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !purpose || !verifies {
            return Ok(None);
        }
        if jwk.private.is_some() {
            return Err("is a private key; only the public one belongs here");
        }
        if jwk.kty == "oct" {
            return jwk.secret(short).map(Some);
        }
        let algorithm = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", None) => Algorithm::RS256,
            ("EC", Some("P-256")) => Algorithm::ES256,
            ("OKP", Some("Ed25519")) => Algorithm::EdDSA,
            _ => return Err("is none of RSA, P-256, Ed25519 and oct"),
        };
        if jwk.alg.as_ref().is_some_and(|alg| *alg != format!("{algorithm:?}")) {
            return Err("is for none of RS256, ES256, EdDSA, HS256, HS384 and HS512");
        }
        let key = match (algorithm, &jwk.n, &jwk.e, &jwk.x, &jwk.y) {
            (Algorithm::RS256, Some(n), Some(e), ..) => DecodingKey::from_rsa_components(n, e),
            (Algorithm::ES256, _, _, Some(x), Some(y)) => DecodingKey::from_ec_components(x, y),
            (Algorithm::EdDSA, _, _, Some(x), _) => DecodingKey::from_ed_components(x),
            _ => return Err("lacks a member"),
        };
        let key = key.ok().and_then(|key| Self::new(algorithm, key));
        key.map(Some).ok_or("is no usable key: RSA has 2048–4096 bits")
    }

    /// Checks a token's signature.
    fn check(&self, signed: &Signed<'_>) -> Result<(), TokenError> {
        if self.algorithms.contains(&signed.algorithm) {
            signed.check(&self.key)
        } else {
            Err(TokenError::Algorithm)
        }
    }
}

/// What counts of a JSON Web Key (RFC 7517, RFC 7518 section 6, RFC 8037).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
    #[serde(rename = "d")]
    private: Option<serde::de::IgnoredAny>,
}

impl Jwk {
    /// The secret of an `oct` key.
    fn secret(&self, short: ShortSecret) -> Result<Key, &'static str> {
        let algorithms = match self.alg.as_deref() {
            None => HMAC,
            Some("HS256") => &HMAC[..1],
            Some("HS384") => &HMAC[1..2],
            Some("HS512") => &HMAC[2..],
            Some(_) => return Err("is a secret for none of HS256, HS384 and HS512"),
        };
        let secret = self.k.as_deref().and_then(|k| URL_SAFE_NO_PAD.decode(k).ok());
        let secret =
            secret.filter(|secret| !secret.is_empty()).ok_or("has no secret in base64url")?;
        if secret.len() < MIN_SECRET_BYTES {
            if short == ShortSecret::Refuse {
                return Err("is a secret of less than 32 bytes");
            }
            tracing::warn!("JWT_JWKS: a secret of less than 32 bytes may be guessed");
        }
        Ok(Key { algorithms, ..Key::from_secret(&secret) })
    }
}

/// Keys, with their names where they have some.
#[derive(Default)]
pub(super) struct KeySet(Vec<(Option<String>, Key)>);

impl KeySet {
    /// Reads a JWK set: its keys, and what is wrong with those that can't be used. What is for
    /// something else, such as encryption, is left out.
    ///
    /// # Errors
    /// When it is none; one unusable key does not spoil the others.
    pub(super) fn parse(
        text: &[u8],
        short: ShortSecret,
    ) -> Result<(Self, Vec<String>), serde_json::Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(text)?;
        let (mut keys, mut unusable) = (Self::default(), Vec::new());
        for (at, key) in (1..).zip(set.keys) {
            let kid = key.get("kid").and_then(Value::as_str).map(str::to_owned);
            let read = serde_json::from_value::<Jwk>(key).map_err(|_| "is no JWK");
            match read.and_then(|jwk| Key::from_jwk(&jwk, short).map(|key| (jwk.kid, key))) {
                Ok((kid, Some(key))) => keys.0.push((kid, key)),
                Ok((_, None)) => {}
                Err(problem) => {
                    let name = kid.map(|kid| format!(" ({kid:?})")).unwrap_or_default();
                    unusable.push(format!("key {at}{name} {problem}"));
                }
            }
        }
        Ok((keys, unusable))
    }

    /// Adds a key without a name.
    pub(super) fn push(&mut self, key: Key) {
        self.0.push((None, key));
    }

    /// Adds the keys of a PEM. False when one can't be used, or there is none.
    pub(super) fn add_pem(&mut self, pem: &str) -> bool {
        let keys: Option<Vec<_>> = blocks(pem).map(Key::from_pem).collect();
        let keys = keys.unwrap_or_default();
        let found = !keys.is_empty();
        self.0.extend(keys.into_iter().map(|key| (None, key)));
        found
    }

    /// Whether there is no usable key.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the key that a token names is here.
    pub(super) fn has(&self, kid: Option<&str>) -> bool {
        kid.is_some_and(|kid| self.0.iter().any(|(name, _)| name.as_deref() == Some(kid)))
    }

    /// Checks a signature with the key that the token names; where one of the two has no name, with
    /// every key that it could be.
    pub(super) fn check(&self, signed: &Signed<'_>) -> Result<(), TokenError> {
        let known = self.has(signed.kid.as_deref());
        let could = self.0.iter().filter(|(name, _)| match (&signed.kid, name) {
            (Some(kid), Some(name)) => **kid == **name,
            (Some(_), None) => !known,
            (None, _) => true,
        });
        let mut refusal = None;
        for (_, key) in could {
            match key.check(signed) {
                Ok(()) => return Ok(()),
                Err(TokenError::Algorithm) if refusal.is_some() => {}
                Err(error) => refusal = Some(error),
            }
        }
        Err(refusal.unwrap_or(TokenError::Signature))
    }
}

/// The blocks of a PEM, one after another (RFC 7468).
fn blocks(pem: &str) -> impl Iterator<Item = &str> {
    const BEGIN: &str = "-----BEGIN ";
    let starts: Vec<usize> = pem.match_indices(BEGIN).map(|(at, _)| at).collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([pem.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| &pem[start..end])
}
