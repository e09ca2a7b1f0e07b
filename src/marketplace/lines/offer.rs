//! The lines of offers.

use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    db::Tx,
    error::Result,
    id::Id,
    marketplace::{
        documents::{Offer, OfferStatus, RequestStatus},
        store::{moved, offers, requests},
    },
    money::{Amount, Currency},
    moving::{self, Facts, Key, Line, Outcome, Place, Space, Tag},
    text,
};

/// An offer by the request that it is on.
pub(super) const OFFER_ON: &str = "offer on that request";

/// What a seller offers on a request.
#[derive(Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct OfferLine {
    #[serde(rename = "type", default, skip_serializing)]
    line: Tag,
    id: Id,
    request_id: Id,
    seller_id: Id,
    amount: Amount,
    currency: Currency,
    #[garde(inner(length(chars, max = 4000), custom(text::prose)))]
    message: Option<String>,
    #[garde(inner(range(max = 3650)))]
    delivery_days: Option<u32>,
    status: OfferStatus,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl OfferLine {
    fn of(offer: Offer) -> Self {
        Self {
            line: Tag,
            id: offer.id,
            request_id: offer.request_id,
            seller_id: offer.seller_id,
            amount: offer.amount,
            currency: offer.currency,
            message: offer.message,
            delivery_days: offer.delivery_days,
            status: offer.status,
            created_at: offer.created_at,
            updated_at: offer.updated_at,
        }
    }

    fn document(self) -> Offer {
        Offer {
            underscore_id: self.id.clone(),
            id: self.id,
            request_id: self.request_id,
            seller_id: self.seller_id,
            amount: self.amount,
            currency: self.currency,
            message: self.message,
            delivery_days: self.delivery_days,
            status: self.status,
            is_selected: self.status == OfferStatus::Accepted,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

impl Line for OfferLine {
    const TYPE: &'static str = "offer";

    const SPACES: &'static [Space] = &[(OFFER_ON, &["requestId", "id"])];

    fn facts(&self) -> Facts {
        let Self { id, request_id, seller_id, .. } = self;
        let mut keys = vec![
            Key::own("offer", id),
            Key::own(OFFER_ON, format!("{request_id} {id}")),
            Key::other("request", request_id),
        ];
        match self.status {
            OfferStatus::Pending => keys.push(Key::own(
                "request and seller of a pending offer",
                format!("{request_id} {seller_id}"),
            )),
            OfferStatus::Accepted => {
                keys.push(Key::own("request of an accepted offer", request_id));
            }
            OfferStatus::Rejected | OfferStatus::Withdrawn => {}
        }
        Facts { place: Place::default(), keys }
    }

    async fn import(self, tx: &mut Tx<'_>) -> Result<Outcome> {
        if let Some(kept) = offers::find(tx, &self.id).await? {
            return Outcome::compared(&self, &Self::of(kept));
        }
        let Some(request) = requests::find_for_update(tx, &self.request_id).await? else {
            return Ok(Outcome::other("its request is not there"));
        };
        let request = request.document;
        let is_called_off =
            self.status == OfferStatus::Pending && request.status == RequestStatus::Cancelled;
        let added = offers::insert(tx, &self.document(), &request.buyer_id, is_called_off).await?;
        let other = "another offer on its request waits, or is accepted";
        Ok(if added { Outcome::Written } else { Outcome::other(other) })
    }

    async fn next(tx: &mut Tx<'_>, after: &str) -> Result<(Vec<Self>, Option<String>)> {
        let offers = moved::offers_after(tx, after, moving::ROWS).await?;
        let next = moving::behind(&offers, |offer| offer.id.to_string());
        Ok((offers.into_iter().map(Self::of).collect(), next))
    }

    /// An offer by its request.
    async fn is_there(tx: &mut Tx<'_>, name: &str) -> Result<bool> {
        let (request, offer) = name.split_once(' ').unwrap_or_default();
        let Ok(offer) = offer.parse::<Id>() else { return Ok(false) };
        let kept = offers::find(tx, &offer).await?;
        Ok(kept.is_some_and(|kept| kept.request_id.as_str() == request))
    }
}
