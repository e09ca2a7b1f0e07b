//! The auth room's counter: takes the headers of a request and says who calls.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method};

use super::{ApiKeys, Credentials, SetupError, TokenError, TokenSources, Verifier};
use crate::{
    clock::Clock,
    config::AuthConfig,
    error::{Code, Error, Result},
    origin::{OriginPolicy, only},
};

/// What browsers say of the page that a request is from.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The stable code of an API key that is none.
const INVALID_KEY: &str = "api_key_invalid";

/// Knows every kind of credentials. Cheap to clone; state gives it to extractors by `FromRef`.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    verifier: Verifier,
    api_keys: ApiKeys,
    sources: TokenSources,
    origins: OriginPolicy,
}

/// What the credentials of a request are worth. Found once; among the request's extensions it is
/// what every extractor goes by.
#[derive(Clone, Debug)]
pub struct Authenticated(Result<Credentials, Refusal>);

#[derive(Clone, Debug)]
enum Refusal {
    Token(TokenError),
    ApiKey,
}

impl Authenticated {
    /// The credentials, where they are valid.
    #[must_use]
    pub const fn valid(&self) -> Option<&Credentials> {
        match &self.0 {
            Ok(credentials) => Some(credentials),
            Err(_) => None,
        }
    }

    /// The stable code of why credentials that were shown are not valid.
    #[must_use]
    pub const fn refusal(&self) -> Option<&'static str> {
        match &self.0 {
            Ok(_) | Err(Refusal::Token(TokenError::Missing)) => None,
            Err(Refusal::Token(error)) => Some(error.code()),
            Err(Refusal::ApiKey) => Some(INVALID_KEY),
        }
    }

    /// The credentials.
    ///
    /// # Errors
    /// [`Code::Unauthorized`] where there are none or they are not valid.
    pub fn credentials(self) -> Result<Credentials> {
        self.0.map_err(|refusal| match refusal {
            Refusal::Token(error) => error.into(),
            Refusal::ApiKey => {
                Error::new(Code::Unauthorized, "invalid API key").with_reason(INVALID_KEY)
            }
        })
    }
}

impl Authenticator {
    /// Reads keys and settings.
    ///
    /// # Errors
    /// [`SetupError`] names the setting that can't be used.
    pub fn new(auth: &AuthConfig, origins: OriginPolicy, clock: Clock) -> Result<Self, SetupError> {
        Ok(Self(Arc::new(Inner {
            verifier: Verifier::new(auth, clock)?,
            api_keys: ApiKeys::new(&auth.api_keys)?,
            sources: TokenSources::new(auth),
            origins,
        })))
    }

    /// Verifies tokens that come by another way, such as that of a handshake.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.0.verifier
    }

    /// Who calls over REST. An API key, when there is one, decides alone.
    pub async fn authenticate(&self, method: &Method, headers: &HeaderMap) -> Authenticated {
        if let Some(presented) = headers.get("x-api-key") {
            let key = presented.to_str().ok().and_then(|key| self.0.api_keys.find(key));
            return Authenticated(key.map(Credentials::of_key).ok_or(Refusal::ApiKey));
        }
        let token = self.0.sources.find(headers, self.takes_cookies(method, headers));
        let identity = match token {
            Some(token) => self.0.verifier.verify(&token).await,
            None => Err(TokenError::Missing),
        };
        Authenticated(identity.map(Credentials::of_token).map_err(Refusal::Token))
    }

    /// Whether the page that made the request may speak for its user. A browser adds cookies to the
    /// requests of any page, so to change something the page has to be named
    /// (docs/contract/rest.md#conventions).
    fn takes_cookies(&self, method: &Method, headers: &HeaderMap) -> bool {
        let same_origin = only(headers, &SEC_FETCH_SITE) == Some("same-origin");
        let origins = &self.0.origins;
        origins.names_allowed(headers)
            || origins.allows(headers) && (method.is_safe() || same_origin)
    }
}
