//! How this node does, and what a developer signs in with.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{auth::Roles, clock::Timestamp, config::Environment, id::Id};

/// This node, and who asks.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NodeStatus)]
pub(super) struct Status {
    /// The version of Stoa.
    pub(super) version: &'static str,
    /// How long this node has been running.
    pub(super) uptime_ms: u64,
    /// `development` or `production`.
    #[schema(value_type = String)]
    pub(super) environment: Environment,
    /// Who the credentials speak for.
    pub(super) caller: Operator,
}

/// Who asks.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Operator {
    /// The user, or `service:<name>` for an API key.
    pub(super) user_id: Id,
    /// What they may be.
    #[schema(value_type = Vec<String>)]
    pub(super) roles: Roles,
}

/// A token for the console.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConsoleLogin)]
pub(super) struct Login {
    /// Good for every operation of admins and services.
    pub(super) token: String,
    /// When it ends.
    pub(super) expires_at: Timestamp,
}

/// The users of the playground.
#[derive(Serialize)]
pub(super) struct Playground {
    /// Speaks the conversation dialect.
    pub(super) ann: Player,
    /// Speaks the marketplace's.
    pub(super) bob: Player,
    /// Writes to both.
    pub(super) you: Player,
}

/// One of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Player {
    /// The user.
    pub(super) user_id: Id,
    /// What it signs in with.
    pub(super) token: String,
}
