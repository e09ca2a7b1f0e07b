//! How this node does and has done, and what a developer signs in with.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    auth::Roles, clock::Timestamp, config::Environment, id::Id,
    marketplace::documents::PurchaseRequest, realtime::LiveOutcome,
};

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

/// An event that was sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tailed {
    /// When.
    pub(super) at: Timestamp,
    /// Its name.
    pub(super) event: String,
    /// The rooms that it is for, 20 at most; left out where it is for everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rooms: Option<Vec<String>>,
    /// Rooms whose members do not hear it.
    pub(super) except: Vec<String>,
    /// The namespaces in which it is heard.
    #[schema(value_type = Vec<String>)]
    pub(super) namespaces: Vec<&'static str>,
    /// Its numbers, where it is kept, as `GET /api/why` takes them.
    pub(super) streams: Vec<String>,
    /// Where it stands in the order of all kept events; left out where it is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<i64>,
    /// To how many sockets of the node that is asked it was written. Left out of presence, which is sent many
    /// at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sockets: Option<usize>,
    /// What became of it there; left out with `sockets`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<LiveOutcome>,
    /// Whether `data` is a list of arguments.
    pub(super) several: bool,
    /// How long its data is, as JSON.
    pub(super) bytes: usize,
    /// Its data; left out where that is longer than 8 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Value>,
}

/// A purchase request from its beginning.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SaleTimeline {
    /// The request as it is now.
    pub(super) request: PurchaseRequest,
    /// The direct conversation of its buyer and its seller.
    #[schema(required = true)]
    pub(super) conversation_id: Option<Id>,
    /// What happened, the first first.
    pub(super) steps: Vec<SaleStep>,
    /// Whether there may be more events than were looked at.
    pub(super) partial: bool,
}

/// Something that happened in a sale.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SaleStep {
    /// When.
    pub(super) at: Timestamp,
    /// What: `requested`, `offered`, `offer_accepted`, `message`, `payment_confirmed`, `payout_completed`,
    /// `delivered`, `completed` and their like; `told` where only an event says so.
    pub(super) kind: String,
    /// Who did it, where somebody did.
    #[schema(required = true)]
    pub(super) by: Option<Id>,
    /// The request, offer, message, payment or payout.
    pub(super) about: Id,
    /// Amounts, transactions and reasons.
    #[schema(required = true)]
    pub(super) detail: Option<String>,
    /// The events that told of it, as far as they are kept.
    pub(super) events: Vec<SaleEvent>,
}

/// An event that told of a step.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SaleEvent {
    /// Its name.
    pub(super) event: String,
    /// Where it stands in the order of all kept events.
    pub(super) position: i64,
    /// Its number in each stream that keeps it.
    pub(super) numbers: Vec<StreamNumber>,
    /// The rooms that it was for; `everyone` for all.
    pub(super) to: Vec<String>,
    /// The rooms that were left out.
    pub(super) except: Vec<String>,
}

/// A number of an event in a stream.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamNumber {
    /// The stream.
    pub(super) stream: String,
    /// The number.
    pub(super) seq: i64,
}

/// The nodes that this one knows of.
#[derive(Serialize, ToSchema)]
pub(super) struct NodeList {
    /// The nodes, by name.
    pub(super) items: Vec<NodeState>,
    /// Whether one did not answer.
    pub(super) partial: bool,
}

/// A node, as it says of itself.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeState {
    /// What it is called (`STOA_NODE`); null where it is called nothing.
    #[schema(required = true)]
    pub(super) name: Option<String>,
    /// Its version of Stoa.
    pub(super) version: String,
    /// Since when it runs.
    pub(super) since: Timestamp,
    /// The sockets on it.
    pub(super) sockets: u64,
    /// How long events took from the commit to its sockets, of 99 in 100, in milliseconds; null where none
    /// came.
    #[schema(required = true)]
    pub(super) lag_ms: Option<f64>,
}

/// The store by table.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoreTables {
    /// `sqlite` or `postgres`.
    #[schema(value_type = String)]
    pub(super) engine: &'static str,
    /// The largest first; null where the file is too large to be looked through.
    #[schema(required = true)]
    pub(super) tables: Option<Vec<StoreTable>>,
    /// For how long things are kept that are not kept for ever.
    pub(super) kept: Vec<KeptFor>,
}

/// A table.
#[derive(Serialize, ToSchema)]
pub(super) struct StoreTable {
    /// Its name.
    pub(super) name: String,
    /// Its rows.
    pub(super) rows: u64,
    /// Bytes, with its indexes.
    pub(super) bytes: u64,
}

/// For how long something is kept.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeptFor {
    /// `events`, `messages`, `notifications`, or `answers` to a POST with an `Idempotency-Key`.
    #[schema(value_type = String)]
    pub(super) what: &'static str,
    /// Where it is.
    #[schema(value_type = Vec<String>)]
    pub(super) tables: Vec<&'static str>,
    /// For how long; null for ever.
    #[schema(required = true)]
    pub(super) keep_ms: Option<u64>,
}
