//! What the console asks.

use serde::Deserialize;
use utoipa::ToSchema;

/// What the start of the server printed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginCode {
    /// The code.
    #[schema(min_length = 16, max_length = 16)]
    pub(super) code: String,
}
