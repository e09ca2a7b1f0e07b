//! The auth room's counter: takes the headers of a request or a handshake and says who calls.

use std::sync::Arc;

use http::{HeaderMap, header};

use super::{ApiKeys, Identity, Scopes, SetupError, TokenError, Verifier, token_from};
use crate::{
    clock::Clock,
    config::{AuthConfig, ServerConfig},
    error::{Code, Error, Result},
};

/// Knows every kind of credentials. Cheap to clone; state gives it to extractors by `FromRef`.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    verifier: Verifier,
    api_keys: ApiKeys,
    cookies: Vec<String>,
    origins: Vec<String>,
}

/// Who calls over REST, and what their API key is narrowed to.
pub(super) struct Credentials {
    pub(super) identity: Arc<Identity>,
    pub(super) scopes: Option<Arc<Scopes>>,
}

impl Authenticator {
    /// Reads keys and settings.
    ///
    /// # Errors
    /// [`SetupError`] names the setting that can't be used.
    pub fn new(auth: &AuthConfig, server: &ServerConfig, clock: Clock) -> Result<Self, SetupError> {
        let origins = server.origins().map(|origin| origin.trim_end_matches('/').to_owned());
        Ok(Self(Arc::new(Inner {
            verifier: Verifier::new(auth, clock)?,
            api_keys: ApiKeys::new(&auth.api_keys)?,
            cookies: auth.cookies.clone(),
            origins: origins.collect(),
        })))
    }

    /// Verifies tokens that come by another way, such as a token sent to renew a session.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.0.verifier
    }

    /// The caller by token: `auth` is the handshake's `auth.token`, absent over REST.
    ///
    /// # Errors
    /// [`TokenError::Missing`] when there is no token, else why it is refused.
    pub async fn identity(
        &self,
        auth: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Identity, TokenError> {
        let cookies: &[String] = if self.is_own_origin(headers) { &self.0.cookies } else { &[] };
        let token = token_from(auth, headers, cookies).ok_or(TokenError::Missing)?;
        self.0.verifier.verify(&token).await
    }

    /// Who calls over REST, before it is asked what they may do there.
    ///
    /// # Errors
    /// [`Code::Unauthorized`] without valid credentials.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Arc<Identity>> {
        Ok(self.credentials(headers).await?.identity)
    }

    /// The caller over REST. An API key, when there is one, decides alone.
    pub(super) async fn credentials(&self, headers: &HeaderMap) -> Result<Credentials> {
        let Some(presented) = headers.get("x-api-key") else {
            let identity = Arc::new(self.identity(None, headers).await?);
            return Ok(Credentials { identity, scopes: None });
        };
        let key = presented.to_str().ok().and_then(|key| self.0.api_keys.find(key));
        let key = key.ok_or_else(|| {
            Error::new(Code::Unauthorized, "invalid API key").with_reason("api_key_invalid")
        })?;
        Ok(Credentials { identity: key.identity.clone(), scopes: key.scopes.clone() })
    }

    /// Whether the page that made the request, if one did, is of an allowed origin. A browser adds
    /// cookies to the requests of any page, so for others they do not count.
    fn is_own_origin(&self, headers: &HeaderMap) -> bool {
        let allowed = |origin: &http::HeaderValue| {
            self.0.origins.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
        };
        headers.get_all(header::ORIGIN).iter().all(allowed)
    }
}
