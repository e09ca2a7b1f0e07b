//! Points over REST (docs/contract/rest.md#points).

use axum::{
    Json,
    extract::{FromRef, State},
};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    documents::{PointsAccount, PointsTransaction, Referral},
    requests::{Award, CreateReferral, Reward},
    service::PointsService,
};
use crate::{
    auth::{Authenticator, Caller, ServiceCaller},
    config::Level,
    error::Result,
    failures,
    idempotency::answer,
    rest::{
        body::ValidBody,
        list::{List, Page},
        openapi,
    },
};

failures! {
    /// The `reference` stands for another award.
    ReferenceUsed = Conflict("reference_used"),
        "This reference stands for other points, or for another reason.";
    /// The correction takes more points than there are.
    InsufficientPoints = Conflict("insufficient_points"),
        "A correction takes at most the points that there are.";
    /// Another user referred this one before.
    ReferredAlready = Conflict("referred_already"), "Somebody else referred this user.";
    /// The user was not referred.
    NoReferral = NotFound, "Nobody referred this user.";
}

/// The routes.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    PointsService: FromRef<S>,
{
    openapi::under(
        "Points",
        "A ledger of points for each user, the levels that they reach, and referrals.",
    )
    .routes(routes!(award_points))
    .routes(routes!(get_points))
    .routes(routes!(list_ledger))
    .routes(routes!(list_levels))
    .routes(routes!(create_referral))
    .routes(routes!(reward_referral))
}

/// 201 for what was made, 200 for what was there.
fn made<T>((document, created): (T, bool)) -> (StatusCode, Json<T>) {
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    (status, Json(document))
}

/// Awards points to a user.
///
/// Needs the role `service`. A `reference` counts once for each user: the same award again returns
/// the first entry.
///
/// Negative points are a correction: they are taken from the balance and from the lifetime points,
/// never below 0, and nobody is told of a level that is lost.
#[utoipa::path(
    post,
    path = "/api/points/awards",
    tag = "Points",
    request_body = Award,
    responses(
        (status = 201, description = "Awarded.", body = PointsTransaction),
        (
            status = 200,
            description = "The entry of this `reference`, which was awarded before.",
            body = PointsTransaction,
        ),
        ReferenceUsed, InsufficientPoints,
    )
)]
async fn award_points(
    State(points): State<PointsService>,
    _service: ServiceCaller,
    ValidBody(award): ValidBody<Award>,
) -> Result<(StatusCode, Json<PointsTransaction>)> {
    answer(points.give(award), made).await
}

/// Returns the caller's points.
///
/// With the level that they have reached, what it brings, the next level, and the caller's referral
/// code.
#[utoipa::path(
    get,
    path = "/api/points/me",
    tag = "Points",
    responses((status = 200, description = "The caller's points.", body = PointsAccount))
)]
async fn get_points(
    State(points): State<PointsService>,
    caller: Caller,
) -> Result<Json<PointsAccount>> {
    Ok(Json(points.account(caller.identity).await?))
}

/// Lists the entries of the caller's ledger.
///
/// Everything that changed the caller's points, the newest first. Entries are never changed.
#[utoipa::path(
    get,
    path = "/api/points/me/ledger",
    tag = "Points",
    params(Page),
    responses((status = 200, description = "A page of entries.", body = List<PointsTransaction>))
)]
async fn list_ledger(
    State(points): State<PointsService>,
    caller: Caller,
    page: Page,
) -> Result<List<PointsTransaction>> {
    points.ledger(caller.identity, page).await
}

/// Lists the levels.
///
/// All of them at once, the lowest first, as the operator configured them.
#[utoipa::path(
    get,
    path = "/api/points/levels",
    tag = "Points",
    responses((status = 200, description = "All levels.", body = List<Level>))
)]
async fn list_levels(State(points): State<PointsService>, _caller: Caller) -> List<Level> {
    List { items: points.levels().to_vec(), next_cursor: None }
}

/// Records a referral.
///
/// Needs the role `service`. For backends with a sign-up of their own. Takes either `referralCode`
/// or `referrerId`; the referrer is told. The first referral of a user stays.
#[utoipa::path(
    post,
    path = "/api/points/referrals",
    tag = "Points",
    request_body = CreateReferral,
    responses(
        (status = 201, description = "Recorded.", body = Referral),
        (
            status = 200,
            description = "The same referral, which was recorded before.",
            body = Referral,
        ),
        ReferredAlready,
    )
)]
async fn create_referral(
    State(points): State<PointsService>,
    _service: ServiceCaller,
    ValidBody(request): ValidBody<CreateReferral>,
) -> Result<(StatusCode, Json<Referral>)> {
    answer(points.refer(request), made).await
}

/// Rewards the referrer of a user.
///
/// Needs the role `service`. A referral is rewarded once, and once more for each further
/// `reference`.
#[utoipa::path(
    post,
    path = "/api/points/referrals/reward",
    tag = "Points",
    request_body = Reward,
    responses(
        (status = 201, description = "Rewarded.", body = PointsTransaction),
        (
            status = 200,
            description = "The entry of this reward, which was given before.",
            body = PointsTransaction,
        ),
        NoReferral, ReferenceUsed,
    )
)]
async fn reward_referral(
    State(points): State<PointsService>,
    _service: ServiceCaller,
    ValidBody(reward): ValidBody<Reward>,
) -> Result<(StatusCode, Json<PointsTransaction>)> {
    answer(points.reward(reward), made).await
}
