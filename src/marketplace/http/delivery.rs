//! Delivery over REST.

use axum::{Extension, Json, extract::State};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::failures::{CodeUsedUp, NoRequest, NotPaid, NotReceived, NotShipped};
use crate::{
    auth::Caller,
    error::Result,
    id::Id,
    idempotency::{Subject, answer},
    marketplace::{
        documents::PurchaseRequest,
        requests::{ChangeDelivery, ConfirmDelivery},
        service::{MarketplaceService, code_subject},
    },
    rest::body::{Path, ValidBody},
};

/// The code that goes with the goods.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeliveryCode {
    /// The request.
    request_id: Id,
    /// 8 characters; it is not shown again.
    delivery_code: String,
}

/// Creates the delivery code of a request.
///
/// For the seller, who hands the code over with the goods. An earlier code ends.
#[utoipa::path(
    post,
    path = "/api/marketplace/requests/{id}/delivery/code",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    responses((status = 201, description = "The code.", body = DeliveryCode), NoRequest, NotPaid)
)]
pub(super) async fn make_code(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<(StatusCode, Extension<Subject>, Json<DeliveryCode>)> {
    answer(marketplace.make_code(caller.identity, id.clone()), move |delivery_code| {
        let code = DeliveryCode { request_id: id.clone(), delivery_code };
        (StatusCode::CREATED, Extension(Subject(code_subject(&id))), Json(code))
    })
    .await
}

/// Updates the delivery of a request.
///
/// For the seller. The status `shipped` moves a paid request on; any other is shown as it is.
#[utoipa::path(
    patch,
    path = "/api/marketplace/requests/{id}/delivery",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    request_body = ChangeDelivery,
    responses(
        (status = 200, description = "The request.", body = PurchaseRequest),
        NoRequest, NotPaid,
    )
)]
pub(super) async fn change_delivery(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
    ValidBody(change): ValidBody<ChangeDelivery>,
) -> Result<Json<PurchaseRequest>> {
    Ok(Json(marketplace.change_delivery(caller.identity, id, change).await?))
}

/// Confirms a delivery by its code.
///
/// For the buyer. A code may be tried five times; after that the seller has to create another.
#[utoipa::path(
    post,
    path = "/api/marketplace/requests/{id}/delivery/confirm",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    request_body = ConfirmDelivery,
    responses(
        (status = 200, description = "The request, now delivered.", body = PurchaseRequest),
        NoRequest, NotShipped, CodeUsedUp,
    )
)]
pub(super) async fn confirm_delivery(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
    ValidBody(confirm): ValidBody<ConfirmDelivery>,
) -> Result<Json<PurchaseRequest>> {
    let tried = marketplace.confirm_delivery(caller.identity, id, confirm.code);
    answer(tried, |tried| tried.into_result().map(Json)).await?
}

/// Records that the buyer has received the goods.
///
/// For the buyer; it does not need the code and does not move the request on. A second time changes
/// nothing.
#[utoipa::path(
    post,
    path = "/api/marketplace/requests/{id}/delivery/buyer-confirm",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    responses(
        (status = 200, description = "The request.", body = PurchaseRequest),
        NoRequest, NotReceived,
    )
)]
pub(super) async fn confirm_by_buyer(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<PurchaseRequest>> {
    answer(marketplace.confirm_by_buyer(caller.identity, id), Json).await
}
