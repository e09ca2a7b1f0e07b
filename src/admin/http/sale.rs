//! `/api/marketplace/requests/{id}/timeline`: a sale as a whole, for who may know of all of it.

use axum::{
    Json,
    extract::{FromRef, State},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    admin::{documents::SaleTimeline, sale::Sales},
    auth::{Authenticator, OperatorCaller},
    error::Result,
    failures,
    id::Id,
    rest::body::Path,
};

failures! {
    /// The request does not exist.
    NoSale = NotFound, "There is no such request.";
}

/// Returns a purchase request as a timeline.
///
/// Needs the role `service` or `admin`. Request, offers, messages of its buyer and its seller (not their
/// words), the ledger of payments, payouts and delivery, in order; with the events of each step that are
/// still kept, and the rooms that they were for.
#[utoipa::path(
    get,
    path = "/api/marketplace/requests/{id}/timeline",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    responses((status = 200, description = "The timeline.", body = SaleTimeline), NoSale)
)]
async fn get_timeline(
    State(sales): State<Sales>,
    _operator: OperatorCaller,
    Path(id): Path<Id>,
) -> Result<Json<SaleTimeline>> {
    Ok(Json(sales.timeline(id).await?))
}

/// The operations that stand in the API's description.
pub fn sale_routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    Sales: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(get_timeline))
}
