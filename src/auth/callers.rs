//! Extractors that put who may call into a handler's signature. Without valid credentials they
//! answer 401 in the contract's words, without the role 403.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;

use super::{Authenticated, Authenticator, CredentialKind, Credentials, Identity, Role, Scopes};
use crate::{error::Error, room::Room};

/// Declares a caller and whom it lets in. A narrowed API key is only good for [`EmitCaller`].
macro_rules! caller {
    ($(#[doc = $doc:literal])+ $caller:ident, $needs:literal, $allows:expr) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        pub struct $caller {
            /// Who calls.
            pub identity: Arc<Identity>,
            /// What they showed.
            pub kind: CredentialKind,
        }

        impl<S: Send + Sync> FromRequestParts<S> for $caller
        where
            Authenticator: FromRef<S>,
        {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
                let Credentials { identity, kind, scopes } = credentials(parts, state).await?;
                let allows: fn(&Identity) -> bool = $allows;
                if scopes.is_some() {
                    return Err(Error::needs("an API key that is not narrowed to some emits"));
                }
                if allows(&identity) {
                    Ok(Self { identity, kind })
                } else {
                    Err(Error::needs($needs))
                }
            }
        }
    };
}

caller! {
    /// Anyone with a valid token, or a backend service with an API key.
    Caller, "credentials", |_| true
}

caller! {
    /// A backend service, by token or API key.
    ServiceCaller, "the role service: a backend's API key, or its token", |identity| identity.has(Role::Service)
}

caller! {
    /// An admin.
    AdminCaller, "the role admin", |identity| identity.has(Role::Admin)
}

caller! {
    /// A backend service or an admin.
    OperatorCaller, "the role admin or service", Identity::operates
}

/// A backend service at the emit door, where its API key may be narrowed to some events and rooms.
#[derive(Clone, Debug)]
pub struct EmitCaller {
    /// Who calls.
    pub identity: Arc<Identity>,
    scopes: Option<Arc<Scopes>>,
}

impl EmitCaller {
    /// Whether the caller may send an event to a room; `None` is everyone, a user is `user-<id>`.
    #[must_use]
    pub fn may_emit(&self, event: &str, room: Option<&Room>) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.allow(event, room))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for EmitCaller
where
    Authenticator: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Credentials { identity, scopes, .. } = credentials(parts, state).await?;
        if identity.has(Role::Service) {
            Ok(Self { identity, scopes })
        } else {
            Err(Error::needs("the role service: a backend's API key, or its token"))
        }
    }
}

async fn credentials<S>(parts: &Parts, state: &S) -> Result<Credentials, Error>
where
    Authenticator: FromRef<S>,
{
    let authenticated = match parts.extensions.get::<Authenticated>() {
        Some(authenticated) => authenticated.clone(),
        None => Authenticator::from_ref(state).authenticate(&parts.method, &parts.headers).await,
    };
    authenticated.credentials()
}
