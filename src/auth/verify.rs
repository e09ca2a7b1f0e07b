//! Verifies tokens with the meaning and the messages of Node's `jsonwebtoken`, and more strictly
//! where that is lax: `crit`, one algorithm per public key.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

use super::{
    Identity, Revocations, Roles, SetupError, TokenError, TokenKey, check_secret,
    identity::Issued,
    jwks::Jwks,
    keys::{Key, KeySet, Signed},
    mint::MAKER,
    roles::RoleNames,
};
use crate::{
    clock::{Clock, Timestamp},
    config::AuthConfig,
    text::well_formed,
};

/// The claim of this server's own tokens that says when their sign-in (`sid`) began, as `iat` does of a
/// token. Others' have names of their own for it (`auth_time`), by which a token that was refreshed
/// after a revocation would be refused for as long as they keep people signed in.
const SESSION_SINCE: &str = "sidIat";

/// Longer tokens are not read.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Verifies tokens with every configured key. Cheap to clone.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    /// The secrets and the public keys of the settings.
    keys: KeySet,
    jwks: Option<Jwks>,
    issuer: Option<Box<str>>,
    audience: Option<Box<str>>,
    leeway: Duration,
    role_names: RoleNames,
    revocations: Revocations,
    clock: Clock,
    keeps_claims: AtomicBool,
}

impl Verifier {
    /// Reads the configured keys. A JWKS URL is asked when the first token comes.
    ///
    /// # Errors
    /// [`SetupError`] names the setting that can't be used, or says that there is no key at all.
    pub fn new(auth: &AuthConfig, clock: Clock) -> Result<Self, SetupError> {
        let mut keys = KeySet::default();
        let secrets =
            [("JWT_SECRET", &auth.jwt_secret), ("JWT_SECRET_PREVIOUS", &auth.jwt_secret_previous)];
        for (setting, secret) in secrets {
            if let Some(secret) = secret {
                let secret = secret.expose_secret();
                check_secret(setting, secret, auth.jwt_short_secret)?;
                keys.push(Key::from_secret(secret.as_bytes()));
            }
        }
        if let Some(setting) = &auth.jwt_public_key {
            add_public_keys(&mut keys, setting)?;
        }
        let jwks = auth.jwt_jwks.as_deref();
        let jwks = jwks.map(|source| {
            Jwks::new(source, auth.jwks_refresh, auth.jwt_short_secret, clock.clone())
        });
        let inner = Inner {
            keys,
            jwks: jwks.transpose()?,
            issuer: auth.jwt_issuer.as_deref().map(Into::into),
            audience: auth.jwt_audience.as_deref().map(Into::into),
            leeway: auth.leeway,
            role_names: RoleNames::new(&auth.role_names)?,
            revocations: Revocations::new(clock.clone()),
            clock,
            keeps_claims: AtomicBool::new(false),
        };
        if inner.keys.is_empty() && inner.jwks.is_none() {
            let problem = "set this, JWT_PUBLIC_KEY or JWT_JWKS: there is no key to verify with";
            return Err(SetupError::new("JWT_SECRET", problem));
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Whom a token speaks for.
    ///
    /// # Errors
    /// [`TokenError`] says why it is refused.
    pub async fn verify(&self, token: &str) -> Result<Identity, TokenError> {
        let (signed, payload) = read(token)?;
        self.0.check_signature(&signed).await?;
        let claims = json(payload)?;
        let expires_at = self.0.check_times(&claims)?;
        self.0.check_parties(&claims)?;
        let issued = self.0.issued(&claims, signed.algorithm);
        let identity = Identity::from_claims(&claims, issued, expires_at, &self.0.role_names)?
            .by_token(TokenKey::of_signed(signed.message));
        self.0.revocations.check(&identity)?;
        if self.0.keeps_claims.load(Ordering::Relaxed) {
            return Ok(identity.with_claims(&claims));
        }
        Ok(identity)
    }

    /// The roles of a word for one, as a token would name it.
    pub(super) fn role(&self, word: &str) -> Roles {
        self.0.role_names.of_word(Some(word))
    }

    /// Has whoever is verified from now on bring all that their token claims, for as long as they are
    /// connected: somebody is to be told of it.
    pub fn keep_claims(&self) {
        self.0.keeps_claims.store(true, Ordering::Relaxed);
    }

    /// Who is shut out, whatever their tokens say.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.0.revocations
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl Inner {
    /// Checks a signature with the keys of the settings, then with those of the JWK set.
    async fn check_signature(&self, signed: &Signed<'_>) -> Result<(), TokenError> {
        let by_own =
            if self.keys.is_empty() { Err(TokenError::Algorithm) } else { self.keys.check(signed) };
        let (Err(refusal), Some(jwks)) = (&by_own, &self.jwks) else { return by_own };
        match jwks.check(signed).await {
            // A key of ours is for such tokens, and did not make this one.
            Err(TokenError::Algorithm) => Err(refusal.clone()),
            checked => checked,
        }
    }

    /// Checks `nbf` and `exp` in Node's order; gives the end. `iat` is not judged.
    fn check_times(&self, claims: &Map<String, Value>) -> Result<Option<Timestamp>, TokenError> {
        let now = self.clock.now();
        let [nbf, exp] = ["nbf", "exp"].map(|name| {
            claims.get(name).map(|time| time.as_f64().map(numeric_date).ok_or(TokenError::Invalid))
        });
        if nbf.transpose()?.is_some_and(|nbf| nbf > now + self.leeway) {
            return Err(TokenError::NotActive);
        }
        let exp = exp.transpose()?;
        if exp.is_some_and(|exp| now >= exp + self.leeway) {
            return Err(TokenError::Expired);
        }
        Ok(exp)
    }

    /// When a token was issued. What it says is believed to the letter where this server made it; the
    /// clock of any other maker may be ahead, by less than the leeway. One from the far future is of
    /// another time, and says nothing. One of a sign-in is as old as that: who refreshes what was revoked
    /// has nothing newer.
    fn issued(&self, claims: &Map<String, Value>, algorithm: Algorithm) -> Option<Issued> {
        let [issued_at, since] = ["iat", SESSION_SINCE]
            .map(|name| claims.get(name).and_then(Value::as_f64).map(numeric_date));
        let issued_at = issued_at.filter(|at| *at < self.clock.now() + self.leeway)?;
        let at = since.map_or(issued_at, |since| since.min(issued_at));
        let (claim, maker) = MAKER;
        let is_own =
            algorithm == Algorithm::HS256 && claims.get(claim).is_some_and(|by| *by == maker);
        Some(if is_own { Issued::exactly(at) } else { Issued { at, after: at - self.leeway } })
    }

    /// Checks `aud` and `iss` where they are configured; then a token must have them.
    fn check_parties(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        if let Some(audience) = &self.audience {
            let named = match claims.get("aud") {
                Some(Value::Array(several)) => several.iter().any(|aud| *aud == **audience),
                one => one.is_some_and(|aud| *aud == **audience),
            };
            if !named {
                return Err(TokenError::Audience(audience.clone()));
            }
        }
        match &self.issuer {
            Some(issuer) if claims.get("iss").is_none_or(|iss| *iss != **issuer) => {
                Err(TokenError::Issuer(issuer.clone()))
            }
            _ => Ok(()),
        }
    }
}

/// Takes a token apart, without believing any of it.
fn read(token: &str) -> Result<(Signed<'_>, &str), TokenError> {
    let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(TokenError::Malformed)?;
    if payload.contains('.') || token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::Malformed);
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if !token.bytes().all(plain) {
        return Err(TokenError::Invalid);
    }
    let header = json(header)?;
    // No extension is known here, so none may be critical (RFC 7515, section 4.1.11).
    if header.contains_key("crit") {
        return Err(TokenError::Invalid);
    }
    let algorithm = match header.get("alg").and_then(Value::as_str) {
        Some("HS256") => Algorithm::HS256,
        Some("HS384") => Algorithm::HS384,
        Some("HS512") => Algorithm::HS512,
        Some("RS256") => Algorithm::RS256,
        Some("ES256") => Algorithm::ES256,
        Some("EdDSA") => Algorithm::EdDSA,
        _ => return Err(TokenError::Algorithm),
    };
    // Compared with the names of our keys and used for nothing else, so it may be any string.
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.as_str().into()),
        Some(_) => return Err(TokenError::Invalid),
    };
    Ok((Signed { algorithm, kid, message, signature }, payload))
}

/// The JSON object in a part of a token.
fn json(part: &str) -> Result<Map<String, Value>, TokenError> {
    let text = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Invalid)?;
    serde_json::from_slice(&well_formed(&text)).map_err(|_| TokenError::Invalid)
}

/// Seconds since 1970, which may have a fraction (RFC 7519, `NumericDate`).
fn numeric_date(seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and whole milliseconds count")]
    Timestamp::from_millis((seconds * 1000.0).round() as i64)
}

/// Reads `JWT_PUBLIC_KEY`: a PEM, as one line with `\n` too, or the path of one.
fn add_public_keys(keys: &mut KeySet, setting: &str) -> Result<(), SetupError> {
    const SETTING: &str = "JWT_PUBLIC_KEY";
    let pem = if setting.contains("-----BEGIN") {
        setting.replace("\\n", "\n")
    } else {
        std::fs::read_to_string(setting).map_err(|error| {
            SetupError::new(SETTING, format!("neither a PEM nor a file: {error}"))
        })?
    };
    if keys.add_pem(&pem) {
        Ok(())
    } else {
        let problem =
            "needs a public key in PEM, or several: RSA of 2048–4096 bits, P-256, Ed25519";
        Err(SetupError::new(SETTING, problem))
    }
}
