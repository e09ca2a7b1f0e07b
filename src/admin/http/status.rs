//! `/api/status`, `/api/metrics` and `/api/history`: how this node does and has done, for who may know.

use axum::{Json, extract::State, response::Response};

use crate::{
    admin::{
        documents::{History, Status},
        requests::HistoryFilter,
        service::Admin,
    },
    auth::OperatorCaller,
    rest::body::Query,
};

/// Returns the status of this node.
///
/// Needs the role `service` or `admin`. With whom the credentials speak for, and what is wrong now, in words.
#[utoipa::path(
    get,
    path = "/api/status",
    tag = "Operations",
    responses((status = 200, description = "The status of this node.", body = Status))
)]
pub(super) async fn status(State(admin): State<Admin>, operator: OperatorCaller) -> Json<Status> {
    Json(admin.status(&operator))
}

/// Returns the metrics of this node.
///
/// Needs the role `service` or `admin`. In Prometheus' text format; here also where `METRICS_PORT`
/// keeps `/metrics` away from this port.
#[utoipa::path(
    get,
    path = "/api/metrics",
    tag = "Operations",
    responses(
        (status = 200, description = "The metrics.", body = String, content_type = "text/plain"),
    )
)]
pub(super) async fn metrics(State(admin): State<Admin>, _operator: OperatorCaller) -> Response {
    admin.metrics().answer()
}

/// Returns the last hour of this node.
///
/// Needs the role `service` or `admin`. Each figure of the console, read every ten seconds since the start:
/// connections, events and calls a second, the times that they took, what was closed and refused, the store,
/// memory and processor. It costs nothing where events go, and 360 values a line.
#[utoipa::path(
    get,
    path = "/api/history",
    tag = "Operations",
    params(HistoryFilter),
    responses((status = 200, description = "The last hour, in steps.", body = History))
)]
pub(super) async fn history(
    State(admin): State<Admin>,
    _operator: OperatorCaller,
    Query(HistoryFilter { after }): Query<HistoryFilter>,
) -> Json<History> {
    Json(admin.history(after))
}
