//! The callbacks of a provider about a payment or a payout: what came once does nothing when it comes again.

use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    db::Tx,
    error::Result,
    id::Id,
    moving::Hex,
    payments::store::moved::{self, Callback},
    text,
};

/// A callback, as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct CallbackPart {
    /// What makes it the same as another.
    #[garde(length(bytes, min = 1, max = 4096), custom(text::prose))]
    pub(super) key: String,
    #[garde(length(bytes, min = 1, max = 64), custom(text::line))]
    provider: String,
    /// Its headers as JSON.
    #[garde(custom(text::prose))]
    headers: String,
    body: Hex,
    received_at: Timestamp,
    processed_at: Option<Timestamp>,
}

impl CallbackPart {
    /// Those about a payment or a payout.
    pub(super) async fn about(tx: &mut Tx<'_>, subject: &Id) -> Result<Vec<Self>> {
        let part = |callback: Callback| Self {
            key: callback.dedupe_key,
            provider: callback.provider,
            headers: callback.headers,
            body: Hex(callback.body),
            received_at: callback.received_at,
            processed_at: callback.processed_at,
        };
        Ok(moved::callbacks(tx, subject).await?.into_iter().map(part).collect())
    }

    pub(super) async fn import(self, tx: &mut Tx<'_>, subject: &Id) -> Result<()> {
        let Self { key, provider, headers, body, received_at, processed_at } = self;
        let callback = Callback {
            dedupe_key: key,
            provider,
            headers,
            body: body.0,
            received_at,
            processed_at,
        };
        moved::insert_callback(tx, subject, &callback).await
    }
}
