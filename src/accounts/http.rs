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
    failures,
    rest::{
        client_address::ClientAddress,
        openapi,
        unread::{OpenBodies, UnreadBody},
    },
};

failures! {
    /// Accounts are off on this server.
    AccountsOff = NotFound("accounts_off"),
        "Accounts are off on this server (ACCOUNTS): the app has its own login.";
    /// The address has an account.
    EmailTaken = Conflict("email_taken"),
        "Somebody has registered with this address; log in instead.";
    /// The address or the password is wrong.
    CredentialsInvalid = Unauthorized("credentials_invalid"),
        "The address or the password is not right.";
    /// The user is blocked.
    Blocked = Forbidden("user_blocked"), "This user is blocked.";
    /// The user's tokens were revoked.
    Revoked = Unauthorized("token_revoked"), "Authentication error: token revoked";
    /// The refresh token has expired, or its sign-in has ended.
    RefreshTokenInvalid = Unauthorized("refresh_token_invalid"),
        "This refresh token does not serve any more; log in again.";
    /// The refresh token served before; its sign-in has ended now.
    RefreshTokenReused = Unauthorized("refresh_token_reused"),
        "This refresh token had served before, so its sign-in has ended; log in again.";
    /// The caller showed an API key.
    NotASignIn = Conflict, "An API key is no sign-in; take it out of API_KEYS.";
    /// The caller has no account here.
    NoAccount = Conflict("no_account"),
        "You have no account on this server: another app gave you your token.";
    /// The old password is wrong.
    PasswordWrong = InvalidPayload("password_wrong") at "/oldPassword", "is not your password";
    /// The reset token served before, has expired, or is none.
    ResetTokenInvalid = InvalidPayload("reset_token_invalid") at "/resetToken",
        "does not serve, or not any more; ask for another";
}

/// The routes.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    AccountService: FromRef<S>,
    Authenticator: FromRef<S>,
    OpenBodies: FromRef<S>,
{
    openapi::under("Auth", "Sign-up and sign-in, tokens, and their end.")
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

/// Creates an account and signs its owner in.
///
/// Open to everyone, where accounts are on (`ACCOUNTS`). A `referralCode` tells the user who it
/// belongs to.
///
/// An `Idempotency-Key` changes nothing: answers with tokens are not kept. Sent again it is 409
/// `email_taken`, and the account's owner logs in.
#[utoipa::path(
    post,
    path = "/api/auth/register",
    tag = "Auth",
    security(()),
    request_body = Register,
    responses(
        (status = 201, description = "Created and signed in.", body = SignedIn),
        AccountsOff, EmailTaken,
    )
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

/// Signs a user in.
///
/// A wrong password and an unknown address are answered alike.
#[utoipa::path(
    post,
    path = "/api/auth/login",
    tag = "Auth",
    security(()),
    request_body = Login,
    responses(
        (status = 200, description = "Signed in.", body = SignedIn),
        AccountsOff, CredentialsInvalid, Blocked,
    )
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

/// Exchanges a refresh token for new tokens.
///
/// A refresh token serves once. One that is used again ends the sign-in that it belongs to, with
/// its sockets, since somebody else may have it.
#[utoipa::path(
    post,
    path = "/api/auth/refresh",
    tag = "Auth",
    security(()),
    request_body = Refresh,
    responses(
        (status = 200, description = "The new tokens.", body = SignedIn),
        AccountsOff, RefreshTokenInvalid, RefreshTokenReused, Revoked, Blocked,
    )
)]
async fn refresh(
    State(accounts): State<AccountService>,
    body: UnreadBody,
) -> Result<Unkept<Json<SignedIn>>> {
    let accounts = accounts.on()?;
    let refresh: Refresh = body.json().await?;
    Ok(unkept(Json(accounts.refresh(refresh).await?)))
}

/// Signs the caller out.
///
/// Revokes the caller's token and the sign-in here that it belongs to, and closes their sockets. Of the
/// tokens of another app this one is revoked, whether it has an id (`jti`) or not.
#[utoipa::path(
    post,
    path = "/api/auth/logout",
    tag = "Auth",
    responses((status = 204, description = "Signed out."), NotASignIn)
)]
async fn logout(
    State(accounts): State<AccountService>,
    caller: Caller,
) -> Result<Unkept<StatusCode>> {
    accounts.log_out(&caller.identity, caller.kind).await?;
    Ok(unkept(StatusCode::NO_CONTENT))
}

/// Returns the caller.
///
/// By their account, else by their token.
#[utoipa::path(
    get,
    path = "/api/auth/me",
    tag = "Auth",
    responses((status = 200, description = "The caller.", body = Me))
)]
async fn me(State(accounts): State<AccountService>, caller: Caller) -> Result<Unkept<Json<Me>>> {
    Ok(unkept(Json(Me { user: accounts.me(&caller.identity).await? })))
}

/// Sets a new password.
///
/// Takes either `oldPassword`, with the caller's token, or `resetToken`, which needs no other
/// credentials. All other sign-ins of the user end.
#[utoipa::path(
    post,
    path = "/api/auth/password",
    tag = "Auth",
    security(("token" = []), ("cookie" = []), ("query" = []), ()),
    request_body = ChangePassword,
    responses(
        (status = 204, description = "Changed."),
        AccountsOff, NoAccount, PasswordWrong, ResetTokenInvalid,
    )
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

/// Creates a token that resets a password.
///
/// Needs the role `service`. The token serves once and is for the backend to send to the owner of
/// the address. An unknown address is answered alike.
#[utoipa::path(
    post,
    path = "/api/auth/password-resets",
    tag = "Auth",
    request_body = AskReset,
    responses((status = 201, description = "The token.", body = PasswordReset), AccountsOff)
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
