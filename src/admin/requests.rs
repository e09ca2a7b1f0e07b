//! What the console asks.

use std::num::NonZeroU64;

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{clock::Timestamp, id::Id, realtime::LiveOutcome, room::Room};

/// What the start of the server printed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginCode {
    /// The code.
    #[schema(min_length = 16, max_length = 16)]
    pub(super) code: String,
}

/// How much of the last hour.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryFilter {
    /// Only what was read after this moment, one of the `times` of an answer.
    pub(super) after: Option<Timestamp>,
}

/// Which events; each narrows it.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TailFilter {
    /// Of this name; of names that begin so where it ends with `*`.
    pub(super) event: Option<String>,
    /// For this room.
    #[param(value_type = Option<String>)]
    pub(super) room: Option<Room>,
    /// That this user hears: for their own room, for one that a socket of theirs is in, or for everyone.
    #[param(value_type = Option<String>)]
    pub(super) user: Option<Id>,
    /// Of which this became, at the sockets of the node that is asked.
    #[param(inline)]
    pub(super) outcome: Option<LiveOutcome>,
    /// Ends after so many.
    #[param(value_type = Option<u64>, minimum = 1)]
    pub(super) limit: Option<NonZeroU64>,
}
