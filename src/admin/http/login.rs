//! `/console/login`: how a developer gets into the console.

use axum::{
    Json,
    extract::{FromRequest, Request, State},
};

use crate::{
    admin::{documents::Login, requests::LoginCode, service::Admin},
    error::{Code, Error, Result},
    failures,
    rest::body::Body,
};

failures! {
    /// The caller is no developer, or has signed in before.
    NoConsole = NotFound, "There is nothing here.";
    /// The code is another.
    WrongCode = Forbidden, "This is not the code that the server printed.";
}

/// Signs a developer in to the console.
///
/// Takes the code that the start of the server printed, once: in development, with the secret that
/// the server made, asked on its own machine, to which alone it listens. For anyone else it does
/// not exist.
#[utoipa::path(
    post,
    path = "/console/login",
    operation_id = "console_login",
    tag = "Operations",
    security(()),
    request_body = LoginCode,
    responses(
        (status = 200, description = "A token for one hour.", body = Login),
        NoConsole, WrongCode,
    )
)]
pub(super) async fn login(State(admin): State<Admin>, request: Request) -> Result<Json<Login>> {
    let login = admin.login_for(request.extensions(), request.headers());
    let login = login.ok_or_else(|| Error::new(Code::NotFound, "There is nothing here."))?;
    let Body(LoginCode { code }) = Body::from_request(request, &()).await?;
    admin.sign_in(login, &code).map(Json)
}
