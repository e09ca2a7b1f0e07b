//! A backend service that acts for a user (docs/contract/rest.md#acting-for-a-user): the headers that
//! say so, who may, and for whom.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, header::ToStrError};
use serde::Deserialize;

use super::{CredentialKind, Credentials, Identity, Role, Roles, revocations::ShutOutUser};
use crate::{
    error::{Code, Error, Result},
    id::Id,
};

/// The user for whom a service acts.
const ACT_AS: HeaderName = HeaderName::from_static("x-act-as");

/// What that user is, with commas between; no role at all without it.
const ACT_AS_ROLES: HeaderName = HeaderName::from_static("x-act-as-roles");

/// Calls that a service makes in its own name alone, and all below them: they make tokens, say who users
/// are, and send in the name of the server.
pub const OWN_NAME: [&str; 4] = ["/api/emit", "/api/auth", "/api/users", "/api/webhook-endpoints"];

/// Whether a service may act for somebody at this path.
#[must_use]
pub fn takes_act_as(path: &str) -> bool {
    let below = |prefix: &str| {
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    path.starts_with("/api/") && !OWN_NAME.into_iter().any(below)
}

/// Why somebody does not act for somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActRefusal {
    /// The caller is no service.
    NoService,
    /// The caller's API key lacks the scope.
    NoScope,
    /// The call is one of the service's own.
    OwnName,
    /// The headers can't be read.
    Malformed(&'static str),
    /// For a service nobody acts.
    ForService,
    /// For an admin an API key acts alone, and one that is not narrowed.
    ForAdmin,
    /// The user is shut out.
    ShutOut(ShutOutUser),
}

impl From<ActRefusal> for Error {
    fn from(refusal: ActRefusal) -> Self {
        match refusal {
            ActRefusal::NoService => Self::needs(
                "the role service, to act for a user: a backend's API key, or its token",
            ),
            ActRefusal::NoScope => Self::needs("an API key with the scope act"),
            ActRefusal::OwnName => {
                Self::needs("the service's own name: a request without X-Act-As")
            }
            ActRefusal::Malformed(sentence) => Self::new(Code::Malformed, sentence),
            ActRefusal::ForService => {
                Self::new(Code::Forbidden, "A service acts for users, and for no service.")
            }
            ActRefusal::ForAdmin => {
                Self::needs("an API key that is not narrowed, to act for an admin")
            }
            ActRefusal::ShutOut(why) => why.into(),
        }
    }
}

/// The user whom a service's body names for what it does, as
/// [`NamingCaller`](super::NamingCaller) takes it. Bodies that name nobody have no such field.
pub(super) fn named_in(body: &[u8]) -> Option<Id> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        sender_id: Id,
    }
    let named: Option<Named> = serde_json::from_slice(body).ok();
    named.map(|named| named.sender_id)
}

/// The user and their roles as the headers name them; none where they name nobody.
pub(super) fn asked(
    headers: &HeaderMap,
    read_roles: impl Fn(&str) -> Roles,
) -> Option<Result<(Id, Roles), ActRefusal>> {
    let (user, roles) = (headers.get_all(ACT_AS), headers.get_all(ACT_AS_ROLES));
    user.iter().chain(&roles).next()?;
    let malformed = ActRefusal::Malformed;
    let mut users = user.iter();
    let user = match (users.next(), users.next()) {
        (Some(user), None) => std::str::from_utf8(user.as_bytes()).ok(),
        (None, _) => return Some(Err(malformed("X-Act-As-Roles goes with X-Act-As."))),
        (Some(_), Some(_)) => None,
    };
    let Some(user) = user.and_then(|user| Id::new(user).ok()) else {
        return Some(Err(malformed("X-Act-As is the id of one user, in UTF-8.")));
    };
    let roles: Result<Vec<&str>, ToStrError> = roles.iter().map(|roles| roles.to_str()).collect();
    let Ok(roles) = roles else {
        return Some(Err(malformed("X-Act-As-Roles are names of roles with commas between.")));
    };
    let words = roles.iter().flat_map(|roles| roles.split(',')).map(str::trim);
    let words = words.filter(|word| !word.is_empty());
    Some(Ok((user, words.fold(Roles::NONE, |roles, word| roles.and(read_roles(word))))))
}

impl Credentials {
    /// Those of a user for whom this service acts.
    pub(super) fn acting_for(
        &self,
        user: Id,
        roles: Roles,
        check: impl FnOnce(&Id) -> Result<(), ShutOutUser>,
    ) -> Result<Self, ActRefusal> {
        if !self.identity.has(Role::Service) {
            return Err(ActRefusal::NoService);
        }
        if !self.may_act {
            return Err(ActRefusal::NoScope);
        }
        if roles.contains(Role::Service) {
            return Err(ActRefusal::ForService);
        }
        let is_whole_key = self.kind == CredentialKind::ApiKey && self.scopes.is_none();
        if roles.contains(Role::Admin) && !is_whole_key {
            return Err(ActRefusal::ForAdmin);
        }
        check(&user).map_err(ActRefusal::ShutOut)?;
        Ok(Self {
            identity: Arc::new(Identity::new(user, roles)),
            kind: CredentialKind::Token,
            scopes: None,
            may_act: false,
            service: Some(self.identity.clone()),
        })
    }
}

/// Asked whenever a service acts for a user: whether it does so too often, and told for the log. An
/// extension of the request.
#[derive(Clone)]
pub struct ActingDoor(Arc<Ask>);

type Ask = dyn Fn(&Id) -> Result<()> + Send + Sync;

impl ActingDoor {
    /// Asks this.
    #[must_use]
    pub fn new(ask: impl Fn(&Id) -> Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// What it says of this user.
    ///
    /// # Errors
    /// [`Code::RateLimited`]
    pub fn ask(&self, user: &Id) -> Result<()> {
        (self.0)(user)
    }
}

impl fmt::Debug for ActingDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActingDoor").finish_non_exhaustive()
    }
}
