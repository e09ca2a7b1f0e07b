//! `/api/status` and `/api/metrics`: how this node does, for who may know.

use axum::{Json, extract::State, response::Response};

use crate::{
    admin::{documents::Status, service::Admin},
    auth::OperatorCaller,
};

/// Returns the status of this node.
///
/// Needs the role `service` or `admin`. With whom the credentials speak for.
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
