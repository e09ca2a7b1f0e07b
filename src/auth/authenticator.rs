//! The auth room's counter: takes the headers of a request and says who calls.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method};

use super::{
    ApiKeys, Credentials, Role, Roles, SetupError, TokenError, TokenSources, Verifier,
    acting::{self, ActRefusal},
};
use crate::{
    clock::Clock,
    config::AuthConfig,
    error::{Code, Error, Result},
    id::Id,
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
pub struct Authenticated {
    shown: Result<Credentials, Refusal>,
    /// Those of the user for whom the request is to be done, where it names one.
    acting: Option<Result<Credentials, ActRefusal>>,
}

#[derive(Clone, Debug)]
enum Refusal {
    Token(TokenError),
    ApiKey,
}

impl Authenticated {
    /// What was shown, where it is valid.
    #[must_use]
    pub fn shown(&self) -> Option<&Credentials> {
        self.shown.as_ref().ok()
    }

    /// The credentials of whom the request is answered as, where they are valid: those that were shown,
    /// or those of the user for whom a service acts.
    #[must_use]
    pub fn valid(&self) -> Option<&Credentials> {
        let acting = self.acting.as_ref().map(|acting| acting.as_ref().ok());
        acting.unwrap_or_else(|| self.shown())
    }

    /// The stable code of why credentials that were shown are not valid.
    #[must_use]
    pub const fn refusal(&self) -> Option<&'static str> {
        match &self.shown {
            Ok(_) | Err(Refusal::Token(TokenError::Missing)) => None,
            Err(Refusal::Token(error)) => Some(error.code()),
            Err(Refusal::ApiKey) => Some(INVALID_KEY),
        }
    }

    /// The credentials of whom the request is answered as.
    ///
    /// # Errors
    /// [`Code::Unauthorized`] where there are none or they are not valid; where the request names a user
    /// for whom it is to be done, those of who may not act for them.
    pub fn credentials(self) -> Result<Credentials> {
        let shown = self.shown.map_err(|refusal| match refusal {
            Refusal::Token(error) => error.into(),
            Refusal::ApiKey => {
                Error::new(Code::Unauthorized, "invalid API key").with_reason(INVALID_KEY)
            }
        })?;
        Ok(self.acting.unwrap_or(Ok(shown))?)
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

    /// Who calls over REST, and for whom.
    pub async fn authenticate(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Authenticated {
        let shown = self.shown(method, headers).await;
        let asked = acting::asked(headers, |word| self.0.verifier.role(word));
        let acting = shown.as_ref().ok().zip(asked).map(|(shown, asked)| {
            if !shown.identity.has(Role::Service) {
                return Err(ActRefusal::NoService);
            }
            if !acting::takes_act_as(path) {
                return Err(ActRefusal::OwnName);
            }
            let (user, roles) = asked?;
            self.acting_for(shown, user, roles)
        });
        Authenticated { shown, acting }
    }

    /// The credentials of a user for whom a service acts.
    pub(super) fn acting_for(
        &self,
        service: &Credentials,
        user: Id,
        roles: Roles,
    ) -> Result<Credentials, ActRefusal> {
        let revocations = self.0.verifier.revocations();
        service.acting_for(user, roles, |user| revocations.check_acted_for(user))
    }

    /// The credentials that count for a request with this body: a service's that names a user there
    /// for whom it may act are that user's, as with `X-Act-As`.
    #[must_use]
    pub fn for_body(&self, credentials: &Credentials, body: &[u8]) -> Credentials {
        let is_service = credentials.identity.has(Role::Service);
        let user = is_service.then(|| acting::named_in(body)).flatten();
        let user = user.filter(|user| *user != credentials.identity.user_id);
        let acting = user.and_then(|user| self.acting_for(credentials, user, Roles::NONE).ok());
        acting.unwrap_or_else(|| credentials.clone())
    }

    /// What a request shows of who calls. An API key, when there is one, decides alone.
    async fn shown(&self, method: &Method, headers: &HeaderMap) -> Result<Credentials, Refusal> {
        if let Some(presented) = headers.get("x-api-key") {
            let key = presented.to_str().ok().and_then(|key| self.0.api_keys.find(key));
            return key.map(Credentials::of_key).ok_or(Refusal::ApiKey);
        }
        let token = self.0.sources.find(headers, self.takes_cookies(method, headers));
        let identity = match token {
            Some(token) => self.0.verifier.verify(&token).await,
            None => Err(TokenError::Missing),
        };
        identity.map(Credentials::of_token).map_err(Refusal::Token)
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
