//! What the console asks.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::clock::Timestamp;

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
