//! Accounts over REST (docs/contract/rest.md#auth). No answer may be kept by a cache: most hold
//! tokens. An `Idempotency-Key` changes nothing here, so that no answer with a token is kept by the
//! server.

use axum::{
    Extension, Json,
    extract::{FromRef, State},
};
use http::{HeaderName, StatusCode, header::CACHE_CONTROL};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    documents::{Me, PasswordReset, SignedIn},
    requests::{AskReset, ChangePassword, Login, Refresh, Register},
    service::AccountService,
};
use crate::{
    auth::{Authenticator, Caller, ServiceCaller},
    error::{Code, Error, FieldError, Result},
    http::{
        client_address::ClientAddress,
        unread::{OpenBodies, UnreadBody},
    },
};

/// The routes.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    AccountService: FromRef<S>,
    Authenticator: FromRef<S>,
    OpenBodies: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(me))
        .routes(routes!(change_password))
        .routes(routes!(ask_reset))
}

/// An answer that no cache keeps.
type Unkept<T> = ([(HeaderName, &'static str); 1], T);

const fn unkept<T>(answer: T) -> Unkept<T> {
    ([(CACHE_CONTROL, "no-store")], answer)
}

/// Makes an account and signs its owner in.
#[utoipa::path(
    post,
    path = "/api/auth/register",
    tag = "Auth",
    security(()),
    request_body = Register,
    responses((status = 201, description = "There is an account.", body = SignedIn))
)]
async fn register(
    State(accounts): State<AccountService>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    body: UnreadBody,
) -> Result<(StatusCode, Unkept<Json<SignedIn>>)> {
    let accounts = accounts.on()?;
    accounts.admit_registration(address)?;
    let register = body.json_with(|register: &Register| accounts.check_role(register)).await?;
    let signed_in = accounts.register(register).await?;
    Ok((StatusCode::CREATED, unkept(Json(signed_in))))
}

/// Signs somebody in. A wrong password and an address that nobody has are the same answer.
#[utoipa::path(
    post,
    path = "/api/auth/login",
    tag = "Auth",
    security(()),
    request_body = Login,
    responses((status = 200, description = "They are signed in.", body = SignedIn))
)]
async fn login(
    State(accounts): State<AccountService>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    body: UnreadBody,
) -> Result<Unkept<Json<SignedIn>>> {
    let accounts = accounts.on()?;
    accounts.admit_login(address)?;
    let login: Login = body.json().await?;
    Ok(unkept(Json(accounts.login(login, address).await?)))
}

/// Gives the next tokens for a refresh token, which serves once: one that has served before ends its
/// sign-in, the sockets of it too.
#[utoipa::path(
    post,
    path = "/api/auth/refresh",
    tag = "Auth",
    security(()),
    request_body = Refresh,
    responses((status = 200, description = "The next tokens.", body = SignedIn))
)]
async fn refresh(
    State(accounts): State<AccountService>,
    body: UnreadBody,
) -> Result<Unkept<Json<SignedIn>>> {
    let accounts = accounts.on()?;
    let refresh: Refresh = body.json().await?;
    Ok(unkept(Json(accounts.refresh(refresh).await?)))
}

/// Ends the caller's token, the sign-in that it belongs to, and their sockets. A token that another
/// app made is ended by its id (`jti`).
#[utoipa::path(
    post,
    path = "/api/auth/logout",
    tag = "Auth",
    responses((status = 204, description = "The token does not serve any more."))
)]
async fn logout(
    State(accounts): State<AccountService>,
    caller: Caller,
) -> Result<Unkept<StatusCode>> {
    accounts.log_out(&caller.identity, caller.kind).await?;
    Ok(unkept(StatusCode::NO_CONTENT))
}

/// Tells the caller who they are: by their account, else by their token.
#[utoipa::path(
    get,
    path = "/api/auth/me",
    tag = "Auth",
    responses((status = 200, description = "The caller.", body = Me))
)]
async fn me(State(accounts): State<AccountService>, caller: Caller) -> Result<Unkept<Json<Me>>> {
    Ok(unkept(Json(Me { user: accounts.me(&caller.identity).await? })))
}

/// Sets a new password: for the caller by `oldPassword`, or for the owner of a `resetToken`, who needs
/// no other. Everything that they signed in with before ends, but for the caller's own sign-in.
#[utoipa::path(
    post,
    path = "/api/auth/password",
    tag = "Auth",
    security(("token" = []), ()),
    request_body = ChangePassword,
    responses((status = 204, description = "It is set."))
)]
async fn change_password(
    State(accounts): State<AccountService>,
    caller: Result<Caller>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    body: UnreadBody,
) -> Result<Unkept<StatusCode>> {
    let accounts = accounts.on()?;
    accounts.admit_login(address)?;
    let ChangePassword { old_password, reset_token, new_password } = body.json().await?;
    match (old_password, reset_token) {
        (Some(old), None) => {
            let caller = caller?.identity;
            accounts.change_password(&caller, old, new_password, address).await?;
        }
        (None, Some(token)) => accounts.reset_password(token, new_password).await?,
        _ => return Err(one_of_two()),
    }
    Ok(unkept(StatusCode::NO_CONTENT))
}

/// Gives a backend a token that sets a new password, to send to the address's owner. It serves once.
/// The answer is the same for an address that nobody has.
#[utoipa::path(
    post,
    path = "/api/auth/password-resets",
    tag = "Auth",
    request_body = AskReset,
    responses((status = 201, description = "The token.", body = PasswordReset))
)]
async fn ask_reset(
    State(accounts): State<AccountService>,
    service: Result<ServiceCaller>,
    body: UnreadBody,
) -> Result<(StatusCode, Unkept<Json<PasswordReset>>)> {
    let accounts = accounts.on()?;
    service?;
    let AskReset { email } = body.json().await?;
    Ok((StatusCode::CREATED, unkept(Json(accounts.ask_reset(email).await?))))
}

fn one_of_two() -> Error {
    let field = |pointer: &str| FieldError {
        pointer: pointer.to_owned(),
        detail: "either this or the other is given".to_owned(),
    };
    Error::new(Code::InvalidPayload, "Give either oldPassword or resetToken.")
        .with_fields(vec![field("/oldPassword"), field("/resetToken")])
}
