//! What payments need of the marketplace, inside a unit of work of theirs: the sale that a payment is
//! for, and that it is paid.

use super::{
    announcements,
    documents::{Offer, PurchaseRequest, RequestStatus},
    moves::Move,
    store::{offers, requests},
};
use crate::{
    db::Tx,
    error::{Error, Result},
    id::Id,
    money::Money,
};

/// A request whose buyer accepted an offer.
#[derive(Clone, Debug)]
pub struct Sale {
    request: PurchaseRequest,
    offer: Offer,
}

/// A confirmed payment.
#[derive(Clone, Debug)]
pub struct PaidBy {
    /// The payment.
    pub payment_id: Id,
    /// Its transaction on its chain.
    pub tx_hash: Option<String>,
    /// Who handled it.
    pub provider: String,
    /// How much was paid.
    pub money: Money,
}

impl Sale {
    /// The sale of a request, held until the end of the unit; none without such a request, and none
    /// while no offer on it is accepted.
    ///
    /// # Errors
    /// The store's.
    pub async fn hold(tx: &mut Tx<'_>, request: &Id) -> Result<Option<Self>> {
        let Some(row) = requests::hold(tx, request).await? else { return Ok(None) };
        let request = row.document;
        let Some(accepted) = &request.accepted_offer_id else { return Ok(None) };
        let offer = offers::find(tx, accepted).await?;
        let offer = offer.ok_or_else(|| Error::internal("an accepted offer is missing"))?;
        Ok(Some(Self { request, offer }))
    }

    /// Who buys.
    #[must_use]
    pub fn buyer(&self) -> &Id {
        &self.request.buyer_id
    }

    /// Who sells.
    #[must_use]
    pub fn seller(&self) -> &Id {
        &self.offer.seller_id
    }

    /// The price of the accepted offer.
    #[must_use]
    pub fn price(&self) -> Money {
        Money { amount: self.offer.amount, currency: self.offer.currency.clone() }
    }

    /// Refuses what may not be paid for now.
    ///
    /// # Errors
    /// [`Code::Conflict`](crate::error::Code::Conflict) when it is paid or called off.
    pub fn ensure_payable(&self) -> Result<()> {
        Move::Pay.from(self.request.status).map(|_| ())
    }

    /// Notes that it is paid, and announces it. False, and nothing, where the request has moved on:
    /// it was called off, or paid otherwise.
    ///
    /// # Errors
    /// The store's.
    pub async fn pay(&mut self, tx: &mut Tx<'_>, by: &PaidBy) -> Result<bool> {
        if self.request.status != RequestStatus::Accepted {
            return Ok(false);
        }
        self.request.status = Move::Pay.from(self.request.status)?;
        self.request.payment_id = Some(by.payment_id.clone());
        self.request.updated_at = tx.now();
        requests::set_status(tx, &self.request).await?;
        requests::set_paid(tx, &self.request.id, &by.payment_id, &by.money).await?;
        tx.announce(announcements::payment_completed(&self.request, &self.offer, by));
        tx.announce(announcements::paid(&self.request, by));
        Ok(true)
    }
}
