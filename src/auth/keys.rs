//! Public keys that verify tokens: from a PEM or a JWK, each for one algorithm only, so that a
//! token can't choose how its signature is checked.

use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, crypto};
use serde::Deserialize;
use serde_json::Value;

use super::TokenError;
use crate::id::Id;

/// The signed text of a token, and what its header says of the signature.
pub(super) struct Signed<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<Id>,
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

/// A key and the one algorithm it is for.
pub(super) struct PublicKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl PublicKey {
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
        usable.then_some(Self { algorithm, key })
    }

    /// Reads a public key or a certificate in PEM: RSA for RS256, P-256 for ES256, Ed25519 for
    /// `EdDSA`. `None` when it is no such key, or a private one.
    pub(super) fn from_pem(pem: &str) -> Option<Self> {
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

    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let purpose = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        let verifies = jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if jwk.private.is_some() || !purpose || !verifies {
            return None;
        }
        let x = jwk.x.as_deref();
        let (algorithm, name, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", None) => {
                let key = DecodingKey::from_rsa_components(jwk.n.as_deref()?, jwk.e.as_deref()?);
                (Algorithm::RS256, "RS256", key)
            }
            ("EC", Some("P-256")) => {
                let key = DecodingKey::from_ec_components(x?, jwk.y.as_deref()?);
                (Algorithm::ES256, "ES256", key)
            }
            ("OKP", Some("Ed25519")) => {
                (Algorithm::EdDSA, "EdDSA", DecodingKey::from_ed_components(x?))
            }
            _ => return None,
        };
        let own = jwk.alg.as_deref().is_none_or(|alg| alg == name);
        key.ok().filter(|_| own).and_then(|key| Self::new(algorithm, key))
    }

    /// Checks a token's signature.
    pub(super) fn check(&self, signed: &Signed<'_>) -> Result<(), TokenError> {
        if self.algorithm == signed.algorithm {
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
    #[serde(rename = "d")]
    private: Option<serde::de::IgnoredAny>,
}

/// The usable keys of a JWK set. Symmetric and private keys, keys for encryption and those of other
/// algorithms are left out.
pub(super) struct KeySet(Vec<(Option<String>, PublicKey)>);

impl KeySet {
    /// Reads a JWK set.
    ///
    /// # Errors
    /// When it is none; one unusable key does not spoil the others.
    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(text)?;
        let jwks = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let keys = jwks.filter_map(|jwk| PublicKey::from_jwk(&jwk).map(|key| (jwk.kid, key)));
        Ok(Self(keys.collect()))
    }

    /// Whether there is no usable key.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the key that a token names is here.
    pub(super) fn has(&self, kid: Option<&Id>) -> bool {
        kid.is_some_and(|kid| self.0.iter().any(|(name, _)| name.as_deref() == Some(kid.as_str())))
    }

    /// Checks a signature with the key that the token names; where one of the two has no name, with
    /// every key that it could be.
    pub(super) fn check(&self, signed: &Signed<'_>) -> Result<(), TokenError> {
        let known = self.has(signed.kid.as_ref());
        let could = self.0.iter().filter(|(name, _)| match (&signed.kid, name) {
            (Some(kid), Some(name)) => kid.as_str() == name,
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
