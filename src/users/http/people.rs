//! What is known of people over REST.

use axum::{Json, extract::State};

use crate::{
    auth::{Caller, ServiceCaller},
    error::Result,
    http::body::{Path, ValidBody},
    id::Id,
    users::{Users, documents::Profile, requests::PutProfile},
};

/// Tells of a user, for a backend service, instead of what was known: what is left out is not known any
/// more. The names are shown from now on,
/// until the user acts with a token that was issued later and has others.
#[utoipa::path(
    put,
    path = "/api/users/{id}",
    tag = "Users",
    params(("id" = String, Path, description = "The user.")),
    request_body = PutProfile,
    responses((status = 200, description = "What is known now.", body = Profile))
)]
pub(super) async fn put_user(
    State(users): State<Users>,
    _service: ServiceCaller,
    Path(id): Path<Id>,
    ValidBody(told): ValidBody<PutProfile>,
) -> Result<Json<Profile>> {
    Ok(Json(users.put(id, told).await?))
}

/// Tells what is known of a user: what a backend told, and the names that they acted with. The e-mail
/// address is for the user, admins and services; a block for admins and services.
#[utoipa::path(
    get,
    path = "/api/users/{id}",
    tag = "Users",
    params(("id" = String, Path, description = "The user.")),
    responses((status = 200, description = "What is known.", body = Profile))
)]
pub(super) async fn get_user(
    State(users): State<Users>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<Profile>> {
    Ok(Json(users.get(caller.identity, id).await?))
}
