//! The lines of checkouts.

use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    db::Tx,
    error::Result,
    id::Id,
    marketplace::{
        documents::{Checkout, CheckoutStatus},
        requests::MAX_CHECKOUT_REQUESTS,
        store::{checkouts, moved},
    },
    moving::{self, Facts, Key, Line, Outcome, Place, Tag},
    room::Room,
    text,
};

/// Several requests of one buyer, paid for together.
#[derive(Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct CheckoutLine {
    #[serde(rename = "type", default, skip_serializing)]
    line: Tag,
    id: Id,
    buyer_id: Id,
    #[garde(length(min = 1, max = MAX_CHECKOUT_REQUESTS), custom(different))]
    request_ids: Vec<Id>,
    status: CheckoutStatus,
    payment_id: Option<Id>,
    #[garde(inner(length(chars, max = 1000), custom(text::prose)))]
    reason: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// Refuses a request that is named twice.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives references")]
fn different(requests: &[Id], (): &()) -> garde::Result {
    let different: std::collections::BTreeSet<&Id> = requests.iter().collect();
    if different.len() == requests.len() {
        return Ok(());
    }
    Err(garde::Error::new("names a request twice"))
}

impl CheckoutLine {
    fn of(checkout: Checkout) -> Self {
        Self {
            line: Tag,
            id: checkout.id,
            buyer_id: checkout.buyer_id,
            request_ids: checkout.request_ids,
            status: checkout.status,
            payment_id: checkout.payment_id,
            reason: checkout.reason,
            created_at: checkout.created_at,
            updated_at: checkout.updated_at,
        }
    }
}

impl Line for CheckoutLine {
    const TYPE: &'static str = "checkout";

    fn facts(&self) -> Facts {
        let mut keys = vec![Key::own("checkout", &self.id)];
        keys.extend(self.request_ids.iter().map(|request| Key::other("request", request)));
        Facts { place: Place::default(), keys }
    }

    async fn import(self, tx: &mut Tx<'_>) -> Result<Outcome> {
        if let Some(kept) = checkouts::find(tx, &self.id).await? {
            return Outcome::compared(&self, &Self::of(kept));
        }
        let checkout = Checkout {
            underscore_id: self.id.clone(),
            id: self.id,
            buyer_id: self.buyer_id,
            request_ids: self.request_ids,
            status: self.status,
            payment_id: self.payment_id,
            reason: self.reason,
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        checkouts::insert(tx, &checkout).await?;
        checkouts::set_status(tx, &checkout).await?;
        tx.record(Room::Checkout(checkout.id));
        Ok(Outcome::Written)
    }

    async fn next(tx: &mut Tx<'_>, after: &str) -> Result<(Vec<Self>, Option<String>)> {
        let checkouts = moved::checkouts_after(tx, after, moving::ROWS).await?;
        let next = moving::behind(&checkouts, |checkout| checkout.id.to_string());
        Ok((checkouts.into_iter().map(Self::of).collect(), next))
    }
}
