//! What is known of people over REST.

use axum::{Json, extract::State};

use crate::{
    auth::{Caller, ServiceCaller},
    error::Result,
    failures,
    id::Id,
    rest::body::{Path, ValidBody},
    users::{Users, documents::Profile, requests::PutProfile},
};

failures! {
    /// Nothing is known of the user.
    NoUser = NotFound, "There is no such user.";
}

/// Creates or replaces a user's profile.
///
/// Needs the role `service`. Fields that are missing are removed. The names are shown from now on,
/// until the user acts with a token that was issued later and has others.
#[utoipa::path(
    put,
    path = "/api/users/{id}",
    tag = "Users",
    params(("id" = String, Path, description = "The user.")),
    request_body = PutProfile,
    responses((status = 200, description = "The profile.", body = Profile))
)]
pub(super) async fn put_user(
    State(users): State<Users>,
    _service: ServiceCaller,
    Path(id): Path<Id>,
    ValidBody(told): ValidBody<PutProfile>,
) -> Result<Json<Profile>> {
    Ok(Json(users.put(id, told).await?))
}

/// Returns a user's profile.
///
/// What a backend has stored, and the names that the user has acted with. Only the user, admins and
/// services see the email address; only admins and services see a block.
#[utoipa::path(
    get,
    path = "/api/users/{id}",
    tag = "Users",
    params(("id" = String, Path, description = "The user.")),
    responses((status = 200, description = "The profile.", body = Profile), NoUser)
)]
pub(super) async fn get_user(
    State(users): State<Users>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<Profile>> {
    Ok(Json(users.get(caller.identity, id).await?))
}
