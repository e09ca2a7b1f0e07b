//! `/api/store` and `/api/nodes`: what this node shares with others.

use axum::{
    Json,
    extract::{FromRef, State},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    admin::{
        documents::{NodeList, StoreTables},
        service::Admin,
        storage::Storage,
    },
    auth::{Authenticator, OperatorCaller},
    error::Result,
};

/// Returns the store by table.
///
/// Needs the role `service` or `admin`. Rows and bytes of each table, and for how long things are kept. On
/// Postgres rows are an estimate; a SQLite file of more than 1 GiB is not looked through.
#[utoipa::path(
    get,
    path = "/api/store",
    operation_id = "store_tables",
    tag = "Operations",
    responses((status = 200, description = "The store.", body = StoreTables))
)]
async fn tables(
    State(storage): State<Storage>,
    _operator: OperatorCaller,
) -> Result<Json<StoreTables>> {
    storage.tables().await.map(Json)
}

/// Lists the nodes.
///
/// Needs the role `service` or `admin`. This node and those that `REDIS_URL` joins to it, each as it says of
/// itself; figures are at most ten seconds old.
#[utoipa::path(
    get,
    path = "/api/nodes",
    operation_id = "list_nodes",
    tag = "Operations",
    responses((status = 200, description = "The nodes.", body = NodeList))
)]
async fn nodes(State(admin): State<Admin>, _operator: OperatorCaller) -> Json<NodeList> {
    Json(admin.nodes().await)
}

/// The operations that stand in the API's description.
pub fn store_routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    Admin: FromRef<S>,
    Storage: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(tables)).routes(routes!(nodes))
}
