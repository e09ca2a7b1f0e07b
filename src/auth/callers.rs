//! Extractors that put who may call into a handler's signature. Without valid credentials they
//! answer 401 in the contract's words, without the role 403.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;

use super::{
    ActingDoor, Authenticated, Authenticator, CredentialKind, Credentials, Identity, Role, Roles,
    Scopes,
};
use crate::{error::Error, id::Id, room::Room};

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
                let Credentials { identity, kind, scopes, .. } = credentials(parts, state).await?;
                let allows: fn(&Identity) -> bool = $allows;
                if scopes.is_some() {
                    return Err(narrowed());
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

/// Anyone with a valid token, and a service that may name in the body for whom it acts.
#[derive(Clone, Debug)]
pub struct NamingCaller {
    credentials: Credentials,
    authenticator: Authenticator,
    door: Option<ActingDoor>,
}

/// Who is to be believed to have done something, and whether a service says so.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Who does it.
    pub identity: Arc<Identity>,
    /// Whether a service does it for them.
    pub by_service: bool,
}

impl NamingCaller {
    /// Who calls, or the user whom the body names in the field of this pointer.
    ///
    /// # Errors
    /// [`Code::Forbidden`](crate::error::Code::Forbidden) for who may not act for that user,
    /// [`Code::InvalidPayload`](crate::error::Code::InvalidPayload) where `X-Act-As` names another.
    pub fn named(self, user: Option<Id>, pointer: &'static str) -> Result<Actor, Error> {
        let Self { credentials, authenticator, door } = self;
        let user = user.filter(|user| *user != credentials.identity.user_id);
        let Some(user) = user else {
            if credentials.scopes.is_some() {
                return Err(narrowed());
            }
            let by_service = credentials.service().is_some();
            return Ok(Actor { identity: credentials.identity, by_service });
        };
        if credentials.service().is_some() {
            return Err(Error::invalid(pointer, "is another user than X-Act-As names"));
        }
        let acting = authenticator.acting_for(&credentials, user, Roles::NONE)?;
        if let Some(door) = door {
            door.ask(&acting.identity.user_id)?;
        }
        Ok(Actor { identity: acting.identity, by_service: true })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NamingCaller
where
    Authenticator: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let credentials = credentials(parts, state).await?;
        if credentials.scopes.is_some() && !credentials.may_act {
            return Err(narrowed());
        }
        let authenticator = Authenticator::from_ref(state);
        Ok(Self { credentials, authenticator, door: parts.extensions.get().cloned() })
    }
}

fn narrowed() -> Error {
    Error::needs("an API key that is not narrowed to some emits")
}

async fn credentials<S>(parts: &Parts, state: &S) -> Result<Credentials, Error>
where
    Authenticator: FromRef<S>,
{
    let authenticated = if let Some(authenticated) = parts.extensions.get::<Authenticated>() {
        authenticated.clone()
    } else {
        let authenticator = Authenticator::from_ref(state);
        authenticator.authenticate(&parts.method, parts.uri.path(), &parts.headers).await
    };
    authenticated.credentials()
}
