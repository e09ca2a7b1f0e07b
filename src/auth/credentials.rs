//! What a request shows to say who calls, once it is known to be valid.

use std::sync::Arc;

use super::{ApiKey, Identity, Scopes};
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
        Self { identity: Arc::new(identity), kind: CredentialKind::Token, scopes: None }
    }

    pub(super) fn of_key(key: &ApiKey) -> Self {
        Self {
            identity: key.identity.clone(),
            kind: CredentialKind::ApiKey,
            scopes: key.scopes.clone(),
        }
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
