//! What others need of the marketplace, inside a unit of work of theirs: the sale that a payment is for,
//! that it is paid, and what there is of it.

use super::{
    announcements,
    documents::{Offer, PurchaseRequest, RequestStatus},
    moves::Move,
    paid::PaidBy,
    store::{offers, requests},
};
use crate::{
    db::Tx,
    error::{Error, Result},
    id::Id,
    money::Money,
};

/// A request that is or will be paid for.
#[derive(Clone, Debug)]
pub struct Sale {
    request: PurchaseRequest,
    /// The accepted offer.
    offer: Option<Offer>,
}

/// Who is paid, and how much.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The seller of the accepted offer.
    pub seller: Id,
    /// Its price.
    pub price: Money,
}

impl Sale {
    /// The sale of a request, locked until the end of the unit; none without such a request.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_for_update(tx: &mut Tx<'_>, request: &Id) -> Result<Option<Self>> {
        let row = requests::find_for_update(tx, request).await?;
        Self::of(tx, row.map(|row| row.document)).await
    }

    /// The sale of a request as it is now, for units that only read.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(tx: &mut Tx<'_>, request: &Id) -> Result<Option<Self>> {
        let row = requests::find(tx, request).await?;
        Self::of(tx, row.map(|row| row.document)).await
    }

    async fn of(tx: &mut Tx<'_>, request: Option<PurchaseRequest>) -> Result<Option<Self>> {
        let Some(request) = request else { return Ok(None) };
        let offer = match &request.accepted_offer_id {
            Some(accepted) => offers::find(tx, accepted).await?,
            None => None,
        };
        Ok(Some(Self { request, offer }))
    }

    /// What is bought, in its buyer's words.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.request.title
    }

    /// Who buys.
    #[must_use]
    pub fn buyer(&self) -> &Id {
        &self.request.buyer_id
    }

    /// What is to be paid for it now.
    ///
    /// # Errors
    /// [`Code::Conflict`](crate::error::Code::Conflict) when no offer is accepted yet, and when it
    /// is paid or called off.
    pub fn terms(&self) -> Result<Terms> {
        Move::Pay.from(self.request.status)?;
        let offer = self.offer()?;
        Ok(Terms { seller: offer.seller_id.clone(), price: offer.price() })
    }

    fn offer(&self) -> Result<&Offer> {
        self.offer.as_ref().ok_or_else(|| Error::internal("an accepted offer is missing"))
    }

    /// Notes that it is paid, and announces it. False, and nothing, where the money is not its
    /// price, or the request has moved on: it was called off, or paid otherwise.
    ///
    /// # Errors
    /// The store's.
    pub async fn pay(&mut self, tx: &mut Tx<'_>, by: &PaidBy) -> Result<bool> {
        if self.request.status != RequestStatus::Accepted {
            return Ok(false);
        }
        let offer = self.offer()?.clone();
        if !by.money.covers(&offer.price()) {
            return Ok(false);
        }
        self.request.status = Move::Pay.from(self.request.status)?;
        self.request.payment_id = Some(by.payment_id.clone());
        self.request.updated_at = tx.now();
        requests::set_status(tx, &self.request).await?;
        requests::set_paid(tx, &self.request.id, &by.payment_id, &by.money).await?;
        tx.announce(announcements::payment_completed(&self.request, &offer, by));
        tx.announce(announcements::paid(&self.request, by));
        Ok(true)
    }
}

/// A request with the offers on it, the newest first; so many of them.
///
/// # Errors
/// The store's.
pub async fn with_offers(
    tx: &mut Tx<'_>,
    request: &Id,
    most: i64,
) -> Result<Option<(PurchaseRequest, Vec<Offer>)>> {
    let Some(row) = requests::find(tx, request).await? else { return Ok(None) };
    let offers = offers::list(tx, request, None, None, most).await?;
    Ok(Some((row.document, offers)))
}
