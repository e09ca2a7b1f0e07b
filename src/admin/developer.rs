//! The console's development login: on their own machine a developer need not bring a token.

use std::time::Duration;

use axum::{Json, extract::State};
use http::{
    HeaderMap, HeaderName,
    header::{FORWARDED, HOST, ORIGIN, VIA},
    uri::Authority,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::Admin;
use crate::{
    auth::{Minter, NewToken, Role, Roles, SetupError},
    clock::Timestamp,
    config::{Config, Environment},
    error::{Code, Error, Result},
    id::Id,
    realtime::wire::Peer,
};

/// How long a developer's token is valid.
const TTL: Duration = Duration::from_hours(1);

/// Who the token speaks for.
const DEVELOPER: &str = "developer";

/// Names by which a browser knows its own machine. A page elsewhere can have its own name point
/// here (DNS rebinding), but not one of these.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What a proxy adds: then the peer is the proxy, and the caller may be anyone.
const PROXIED: [HeaderName; 5] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// Makes tokens for developers. Exists in development only, with a secret to sign with.
pub(super) struct DeveloperLogin {
    minter: Minter,
}

impl DeveloperLogin {
    /// None where nobody is a developer.
    ///
    /// # Errors
    /// When the secret can't be used.
    pub(super) fn new(config: &Config) -> Result<Option<Self>, SetupError> {
        let auth = &config.auth;
        let (Environment::Development, Some(secret)) = (config.environment, &auth.jwt_secret)
        else {
            return Ok(None);
        };
        let (issuer, audience) = (auth.jwt_issuer.as_deref(), auth.jwt_audience.as_deref());
        Ok(Some(Self { minter: Minter::new(secret, issuer, audience)? }))
    }

    fn mint(&self, now: Timestamp) -> Result<Login> {
        let user_id = Id::new(DEVELOPER).map_err(Error::internal)?;
        // Admin to see everything, service to send events.
        let roles = Roles::of(Role::Admin).with(Role::Service);
        let token = self.minter.mint(&NewToken::new(user_id, roles, TTL), now)?;
        Ok(Login { token, expires_at: now + TTL })
    }
}

impl Admin {
    /// The login, for a request that a browser or a tool of this machine made by itself: from a
    /// loopback address and no proxy, to a loopback name, for no page but our own.
    pub(super) fn login_for(
        &self,
        extensions: &http::Extensions,
        headers: &HeaderMap,
    ) -> Option<&DeveloperLogin> {
        let peer = extensions.get::<Peer>()?.0.ip().to_canonical();
        let direct = PROXIED.iter().all(|name| !headers.contains_key(name));
        let host = only(headers, &HOST)?;
        let from_here = !headers.contains_key(ORIGIN)
            || only(headers, &ORIGIN).is_some_and(|origin| origin == format!("http://{host}"));
        let local = peer.is_loopback() && direct && is_loopback(host) && from_here;
        self.0.developer.as_ref().filter(|_| local)
    }
}

/// A header that there is exactly one of.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Whether a `Host` is this machine's own name, with or without a port.
fn is_loopback(host: &str) -> bool {
    let authority = host.parse::<Authority>();
    authority.is_ok_and(|authority| {
        !authority.as_str().contains('@')
            && LOOPBACK.iter().any(|name| authority.host().eq_ignore_ascii_case(name))
    })
}

/// A token for the console.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Login {
    /// Good for every operation of admins and services.
    token: String,
    /// When it ends.
    expires_at: Timestamp,
}

/// Gives a developer a token: in development, asked on the server's own machine. 404 for anyone
/// else.
#[utoipa::path(
    post,
    path = "/console/login",
    tag = "Operations",
    security(()),
    responses((status = 200, description = "A token for one hour.", body = Login))
)]
pub(super) async fn login(
    State(admin): State<Admin>,
    request: axum::extract::Request,
) -> Result<Json<Login>> {
    let login = admin.login_for(request.extensions(), request.headers());
    let login = login.ok_or_else(|| Error::new(Code::NotFound, "There is nothing here."))?;
    tracing::info!("a developer signed in to the console");
    login.mint(admin.0.clock.now()).map(Json)
}
