//! The console's development login: on their own machine a developer need not bring a token, but
//! the code that the start of the server printed.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    extract::{FromRequest, Request, State},
};
use http::{
    HeaderMap, HeaderName,
    header::{FORWARDED, HOST, ORIGIN, VIA},
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::Admin;
use crate::{
    auth::{Minter, NewToken, Role, Roles, SetupError},
    clock::Timestamp,
    config::{Config, Environment},
    error::{Code, Error, Result},
    http::body::Body,
    id::Id,
    origin::{Origin, only},
    realtime::wire::Peer,
};

/// How long a developer's token is valid.
const TTL: Duration = Duration::from_hours(1);

/// Who the token speaks for.
const DEVELOPER: &str = "developer";

/// Random bytes of the code.
const CODE_BYTES: usize = 8;

/// Wrong codes until nobody is let in any more.
const TRIES: u32 = 5;

/// Names by which a browser knows its own machine. A page elsewhere can have its own name point
/// here (DNS rebinding), but not one of these.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What a proxy adds, beside `X-Forwarded-…`: then the peer is the proxy, and the caller may be
/// anyone. One that adds nothing is why there is a code.
const PROXIED: [HeaderName; 6] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("cf-connecting-ip"),
];

/// Makes a token for a developer, once. Exists in development only, where the server made its own
/// secret, so that its tokens are good nowhere else, and listens to its own machine only.
pub(super) struct DeveloperLogin {
    minter: Minter,
    code: String,
    tries: Mutex<u32>,
}

impl DeveloperLogin {
    /// None where nobody is a developer.
    ///
    /// # Errors
    /// When the secret can't be used.
    pub(super) fn new(config: &Config) -> Result<Option<Self>, SetupError> {
        let auth = &config.auth;
        let alone = config.environment == Environment::Development
            && config.development_secret.is_some()
            && config.server.host.is_loopback();
        let Some(secret) = auth.jwt_secret.as_ref().filter(|_| alone) else { return Ok(None) };
        let (issuer, audience) = (auth.jwt_issuer.as_deref(), auth.jwt_audience.as_deref());
        Ok(Some(Self {
            minter: Minter::new(secret, issuer, audience)?,
            code: hex::encode(rand::random::<[u8; CODE_BYTES]>()),
            tries: Mutex::new(TRIES),
        }))
    }

    /// What lets a developer in, to be shown where nobody else looks.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    fn is_open(&self) -> bool {
        *self.tries.lock().unwrap_or_else(PoisonError::into_inner) > 0
    }

    /// Whether this is the code. The right one is good once, and of wrong ones there are few.
    fn spend(&self, code: &str) -> bool {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let right = *tries > 0 && bool::from(code.as_bytes().ct_eq(self.code.as_bytes()));
        *tries = if right { 0 } else { tries.saturating_sub(1) };
        right
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
        let login = self.0.developer.as_ref().filter(|login| login.is_open())?;
        let peer = extensions.get::<Peer>()?.0.ip().to_canonical();
        let proxied = headers
            .keys()
            .any(|name| PROXIED.contains(name) || name.as_str().starts_with("x-forwarded"));
        let own = Origin::of_host("http", only(headers, &HOST)?)?;
        let from_here = !headers.contains_key(ORIGIN)
            || only(headers, &ORIGIN).is_some_and(|origin| origin.parse().as_ref() == Ok(&own));
        let local = peer.is_loopback() && !proxied && LOOPBACK.contains(&own.host()) && from_here;
        Some(login).filter(|_| local)
    }
}

/// What the start of the server printed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginCode {
    /// The code.
    #[schema(min_length = 16, max_length = 16)]
    code: String,
}

/// A token for the console.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConsoleLogin)]
pub(super) struct Login {
    /// Good for every operation of admins and services.
    token: String,
    /// When it ends.
    expires_at: Timestamp,
}

/// Gives a developer a token for the code that the start of the server printed, once: in
/// development, with the secret that the server made, asked on its own machine, to which alone it
/// listens. 404 for anyone else.
#[utoipa::path(
    post,
    path = "/console/login",
    tag = "Operations",
    security(()),
    request_body = LoginCode,
    responses((status = 200, description = "A token for one hour.", body = Login))
)]
pub(super) async fn login(State(admin): State<Admin>, request: Request) -> Result<Json<Login>> {
    let login = admin.login_for(request.extensions(), request.headers());
    let login = login.ok_or_else(|| Error::new(Code::NotFound, "There is nothing here."))?;
    let Body(LoginCode { code }) = Body::from_request(request, &()).await?;
    if !login.spend(&code) {
        return Err(Error::new(Code::Forbidden, "This is not the code that the server printed."));
    }
    tracing::info!("a developer signed in to the console");
    login.mint(admin.0.clock.now()).map(Json)
}
