//! Webhooks as operators see them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Timestamp;

/// A webhook, and how it goes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WebhookEndpoint {
    /// Its name.
    pub(super) name: String,
    /// The backend that is told, without the query of the URL.
    pub(super) url: String,
    /// Patterns of the events that it is told.
    pub(super) events: Vec<String>,
    /// How it goes.
    pub(super) state: WebhookState,
    /// Since when it is turned off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) off_at: Option<Timestamp>,
    /// How many events were kept after the first that it was not called for yet, whoever they are for; what
    /// failed, and waits behind that, is not counted.
    pub(super) behind_by: u64,
    /// When the oldest event was announced that waits for its first call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) oldest_at: Option<Timestamp>,
    /// How many events failed and are tried again; what waits behind them is not counted.
    pub(super) retrying: usize,
    /// How many events were put aside; counted up to 1,000.
    pub(super) failures: u64,
    /// When an event was last delivered, since this server started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delivered_at: Option<Timestamp>,
    /// When a call last failed, since this server started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failed_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_error: Option<String>,
}

/// How it goes with a webhook.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum WebhookState {
    /// Events are delivered.
    Ok,
    /// Several calls in a row failed; those events are tried again.
    Failing,
    /// The backend answered with 410: it is not called until events are replayed.
    Off,
}

/// An event that a webhook could not deliver for three days.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WebhookFailure {
    /// What names the call (`webhook-id`).
    pub(super) id: String,
    /// The event's name.
    pub(super) r#type: String,
    /// The stream that keeps it.
    pub(super) stream: String,
    /// Its number there.
    pub(super) seq: i64,
    /// When it was announced.
    pub(super) created_at: Timestamp,
    /// How often it was tried.
    pub(super) attempts: i64,
    /// When it was put aside.
    pub(super) failed_at: Timestamp,
    /// Why the last call failed.
    pub(super) last_error: String,
}
