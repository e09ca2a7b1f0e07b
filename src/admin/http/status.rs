//! `/api/status` and `/api/metrics`: how this node does, for who may know.

use axum::{Json, extract::State, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::Admin;
use crate::{
    auth::{OperatorCaller, Roles},
    config::Environment,
    id::Id,
};

/// This node, and who asks.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NodeStatus)]
pub(super) struct Status {
    /// The version of Stoa.
    version: &'static str,
    /// How long this node has been running.
    uptime_ms: u64,
    /// `development` or `production`.
    #[schema(value_type = String)]
    environment: Environment,
    /// Who the credentials speak for.
    caller: Operator,
}

/// Who asks.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Operator {
    /// The user, or `service:<name>` for an API key.
    user_id: Id,
    /// What they may be.
    #[schema(value_type = Vec<String>)]
    roles: Roles,
}

/// Returns the status of this node.
///
/// Needs the role `service` or `admin`. With whom the credentials speak for.
#[utoipa::path(
    get,
    path = "/api/status",
    tag = "Operations",
    responses((status = 200, description = "The status of this node.", body = Status))
)]
pub(super) async fn status(
    State(Admin(admin)): State<Admin>,
    operator: OperatorCaller,
) -> Json<Status> {
    let uptime = admin.started.until(admin.clock.now());
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
        environment: admin.environment,
        caller: Operator {
            user_id: operator.identity.user_id.clone(),
            roles: operator.identity.roles,
        },
    })
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
pub(super) async fn metrics(
    State(Admin(admin)): State<Admin>,
    _operator: OperatorCaller,
) -> Response {
    admin.metrics.answer()
}
