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
    http::{
        body::{Body, ValidBody},
        list::{List, Page},
    },
    idempotency::answer,
};

/// The routes.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    PointsService: FromRef<S>,
{
    OpenApiRouter::new()
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

/// Awards points to a user, for a backend. The same `reference` again changes nothing.
///
/// Less than 0 is a correction: it takes from the balance and from the lifetime points, at most what
/// there is, and no event tells of a level that is lost by it.
#[utoipa::path(
    post,
    path = "/api/points/awards",
    tag = "Points",
    request_body = Award,
    responses(
        (status = 201, description = "Awarded.", body = PointsTransaction),
        (status = 200, description = "Awarded before.", body = PointsTransaction),
    )
)]
async fn award_points(
    State(points): State<PointsService>,
    _service: ServiceCaller,
    ValidBody(award): ValidBody<Award>,
) -> Result<(StatusCode, Json<PointsTransaction>)> {
    answer(points.give(award), made).await
}

/// Returns the caller's points, their level, and their referral code.
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

/// Lists what changed the caller's points, newest first.
#[utoipa::path(
    get,
    path = "/api/points/me/ledger",
    tag = "Points",
    params(Page),
    responses((status = 200, description = "A page of the ledger.", body = List<PointsTransaction>))
)]
async fn list_ledger(
    State(points): State<PointsService>,
    caller: Caller,
    page: Page,
) -> Result<List<PointsTransaction>> {
    points.ledger(caller.identity, page).await
}

/// Lists the levels, the lowest first.
#[utoipa::path(
    get,
    path = "/api/points/levels",
    tag = "Points",
    responses((status = 200, description = "All levels.", body = List<Level>))
)]
async fn list_levels(State(points): State<PointsService>, _caller: Caller) -> List<Level> {
    List { items: points.levels().to_vec(), next_cursor: None }
}

/// Notes who referred a user, for a backend with a login of its own, and tells the referrer.
#[utoipa::path(
    post,
    path = "/api/points/referrals",
    tag = "Points",
    request_body = CreateReferral,
    responses(
        (status = 201, description = "Noted.", body = Referral),
        (status = 200, description = "Noted before.", body = Referral),
    )
)]
async fn create_referral(
    State(points): State<PointsService>,
    _service: ServiceCaller,
    Body(request): Body<CreateReferral>,
) -> Result<(StatusCode, Json<Referral>)> {
    answer(points.refer(request), made).await
}

/// Rewards whoever referred a user, once, or once for each `reference`.
#[utoipa::path(
    post,
    path = "/api/points/referrals/reward",
    tag = "Points",
    request_body = Reward,
    responses(
        (status = 201, description = "Rewarded.", body = PointsTransaction),
        (status = 200, description = "Rewarded before.", body = PointsTransaction),
    )
)]
async fn reward_referral(
    State(points): State<PointsService>,
    _service: ServiceCaller,
    ValidBody(reward): ValidBody<Reward>,
) -> Result<(StatusCode, Json<PointsTransaction>)> {
    answer(points.reward(reward), made).await
}
