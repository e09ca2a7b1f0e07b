//! What operators ask of webhooks (docs/contract/rest.md#webhooks).

use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    error::{Error, Result},
};

/// Events to tell again: all since a moment, or some.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct ReplayEvents {
    /// Those that were announced since then.
    pub(super) since: Option<Timestamp>,
    /// Those that these name, as `webhook-id` or the list of failures does.
    #[garde(inner(length(min = 1, max = 100)))]
    #[schema(min_items = 1, max_items = 100)]
    pub(super) ids: Option<Vec<CallId>>,
}

/// What names a call: `webhook-id`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 100)]
pub(super) struct CallId(pub(super) String);

/// Which events are told again.
pub(super) enum Replay {
    Since(Timestamp),
    Ids(Vec<CallId>),
}

impl ReplayEvents {
    /// Which of the two it is.
    pub(super) fn which(self) -> Result<Replay> {
        match (self.since, self.ids) {
            (Some(since), None) => Ok(Replay::Since(since)),
            (None, Some(ids)) => Ok(Replay::Ids(ids)),
            _ => Err(Error::invalid("/since", "is given, or `ids`, and not both")),
        }
    }
}
