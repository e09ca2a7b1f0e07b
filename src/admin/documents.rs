//! How this node does and has done, and what a developer signs in with.

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
    /// What is wrong now, the worst first.
    pub(super) troubles: Vec<Trouble>,
}

/// Something that is wrong now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Trouble {
    /// What it is, for programs.
    #[schema(value_type = String)]
    pub(super) code: &'static str,
    /// How bad it is.
    pub(super) severity: Severity,
    /// What it is, in a sentence.
    pub(super) title: String,
    /// Since when, how much, and what to do.
    pub(super) detail: String,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Something is not done.
    Bad,
    /// Something is done worse, or late.
    Warning,
}

/// The last hour of a node, in steps.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NodeHistory)]
pub(super) struct History {
    /// The time between two steps.
    pub(super) step_ms: u64,
    /// The ends of the steps, the oldest first; 360 at most.
    pub(super) times: Vec<Timestamp>,
    /// What was read.
    pub(super) figures: Vec<FigureHistory>,
}

/// A figure over time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FigureHistory {
    /// What it is, such as `connections`.
    #[schema(value_type = String)]
    pub(super) name: &'static str,
    /// `/s`, `s`, `B`, `cores`, or nothing for what is counted.
    #[schema(value_type = String)]
    pub(super) unit: &'static str,
    /// By label: the namespaces of `connections`, what became of `eventsIn`. Of times the median (`p50`)
    /// and the 99th percentile (`p99`) of the step.
    pub(super) lines: Vec<LineHistory>,
}

/// A line of a figure.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LineHistory {
    /// What it is of the figure.
    pub(super) name: String,
    /// One for each of the times; null where there was nothing.
    pub(super) values: Vec<Option<f32>>,
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
