//! Makes HS256 tokens: for development, for services, and for users who signed in here.

use std::{fmt, time::Duration};

use jsonwebtoken::{EncodingKey, Header, encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{Roles, SetupError};
use crate::{
    clock::Timestamp,
    config::AuthConfig,
    error::{Error, Result},
    id::{Id, Ids},
    room::Room,
};

/// The claim that names this server as the maker of a token, and the name: its times are those of our own
/// clock, to the millisecond.
pub(super) const MAKER: (&str, &str) = ("by", "stoa");

/// What a new token says.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Whom it speaks for.
    pub user_id: Id,
    /// Their e-mail address.
    pub email: Option<String>,
    /// Their given name.
    pub first_name: Option<String>,
    /// Their family name.
    pub last_name: Option<String>,
    /// Their full name, as one.
    pub name: Option<String>,
    /// What they are.
    pub roles: Roles,
    /// Rooms that the token itself allows.
    pub rooms: Vec<Room>,
    /// The sign-in that it belongs to, with those that came before and after it; and when that began.
    pub session: Option<(Id, Timestamp)>,
    /// How long it is valid; whole seconds count.
    pub ttl: Duration,
}

impl NewToken {
    /// A token that names only its user.
    #[must_use]
    pub const fn new(user_id: Id, roles: Roles, ttl: Duration) -> Self {
        Self {
            user_id,
            email: None,
            first_name: None,
            last_name: None,
            name: None,
            roles,
            rooms: Vec::new(),
            session: None,
            ttl,
        }
    }

    /// When it ends that is made now.
    #[must_use]
    pub fn expires_at(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis((now + self.ttl).seconds() * 1000)
    }
}

/// Makes tokens with the shared secret.
#[derive(Clone)]
pub struct Minter {
    key: EncodingKey,
    issuer: Option<Box<str>>,
    audience: Option<Box<str>>,
}

/// The claims, in the names of docs/contract/events.md#handshake.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Claims<'a> {
    user_id: &'a Id,
    sub: &'a Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    roles: Roles,
    #[serde(skip_serializing_if = "<[Room]>::is_empty")]
    rooms: &'a [Room],
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a Id>,
    /// When that began.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid_iat: Option<f64>,
    by: &'static str,
    jti: Id,
    iat: f64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

impl Minter {
    /// Signs with `JWT_SECRET`, for the configured issuer and audience.
    ///
    /// # Errors
    /// When the secret is empty.
    pub fn new(
        secret: &SecretString,
        issuer: Option<&str>,
        audience: Option<&str>,
    ) -> Result<Self, SetupError> {
        if secret.expose_secret().is_empty() {
            return Err(SetupError::new("JWT_SECRET", "is empty"));
        }
        Ok(Self {
            key: EncodingKey::from_secret(secret.expose_secret().as_bytes()),
            issuer: issuer.map(Into::into),
            audience: audience.map(Into::into),
        })
    }

    /// As configured; none where there is no secret to sign with.
    ///
    /// # Errors
    /// Those of [`Minter::new`].
    pub fn configured(auth: &AuthConfig) -> Result<Option<Self>, SetupError> {
        let (issuer, audience) = (auth.jwt_issuer.as_deref(), auth.jwt_audience.as_deref());
        let secret = auth.jwt_secret.as_ref();
        secret.map(|secret| Self::new(secret, issuer, audience)).transpose()
    }

    /// A signed token, with an id of its own.
    pub fn mint(&self, token: &NewToken, now: Timestamp) -> Result<String> {
        let claims = Claims {
            user_id: &token.user_id,
            sub: &token.user_id,
            email: token.email.as_deref(),
            first_name: token.first_name.as_deref(),
            last_name: token.last_name.as_deref(),
            name: token.name.as_deref(),
            roles: token.roles,
            rooms: &token.rooms,
            sid: token.session.as_ref().map(|(id, _)| id),
            sid_iat: token.session.as_ref().map(|(_, since)| fraction(*since)),
            by: MAKER.1,
            jti: Ids.next().into(),
            iat: fraction(now),
            exp: token.expires_at(now).seconds(),
            iss: self.issuer.as_deref(),
            aud: self.audience.as_deref(),
        };
        encode(&Header::default(), &claims, &self.key).map_err(Error::internal)
    }
}

/// Seconds with the milliseconds: a token of this server is told from one of the same second that was
/// revoked (RFC 7519, `NumericDate`).
#[expect(clippy::cast_precision_loss, reason = "exact for the next 285,000 years")]
fn fraction(at: Timestamp) -> f64 {
    at.millis() as f64 / 1000.0
}

impl fmt::Debug for Minter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minter").finish_non_exhaustive()
    }
}
