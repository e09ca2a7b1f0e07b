//! What a request shows to say who calls, once it is known to be valid.

use std::sync::Arc;

use super::{ApiKey, Identity, Role, Scopes};
use crate::id::Id;

/// Valid credentials of a request. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Whom they speak for.
    pub identity: Arc<Identity>,
    /// What was shown.
    pub kind: CredentialKind,
    /// What an API key is narrowed to.
    pub(super) scopes: Option<Arc<Scopes>>,
    /// Whether they let a service act for users.
    pub(super) may_act: bool,
    /// The service that acts for who is named here; none for who came in their own name.
    pub(super) service: Option<Arc<Identity>>,
}

/// What was shown. A token may have the user's id `service:orders`; the API key of that name is
/// another caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A JWT.
    Token,
    /// One of `API_KEYS`.
    ApiKey,
}

impl CredentialKind {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ApiKey => "api-key",
        }
    }
}

impl Credentials {
    pub(super) fn of_token(identity: Identity) -> Self {
        Self {
            may_act: identity.has(Role::Service),
            identity: Arc::new(identity),
            kind: CredentialKind::Token,
            scopes: None,
            service: None,
        }
    }

    pub(super) fn of_key(key: &ApiKey) -> Self {
        Self {
            identity: key.identity.clone(),
            kind: CredentialKind::ApiKey,
            scopes: key.scopes.clone(),
            may_act: key.may_act,
            service: None,
        }
    }

    /// The service that acts, where one does.
    #[must_use]
    pub const fn service(&self) -> Option<&Arc<Identity>> {
        self.service.as_ref()
    }

    /// The caller: nobody else has both of these.
    #[must_use]
    pub fn caller(&self) -> (CredentialKind, &Id) {
        (self.kind, &self.identity.user_id)
    }

    /// What the caller may be and is narrowed to, as one text: the same for the same rights.
    #[must_use]
    pub fn rights(&self) -> String {
        let roles = self.identity.roles.iter().map(|role| role.as_str().to_owned());
        let scopes = self.scopes.iter().map(ToString::to_string);
        roles.chain(scopes).collect::<Vec<_>>().join(" ")
    }
}
