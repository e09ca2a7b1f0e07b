//! The rules of the marketplace. Each change is one unit of work that locks its request, so what it
//! looked at stays true until it is kept, and announces what happened.

mod checkouts;
mod delivery;
mod offers;
mod requests;

pub(super) use self::delivery::{code_subject, delivery_subject};
use super::{
    documents::{Offer, PurchaseRequest},
    moves::Move,
    rights::{may_see, no_offer, no_request},
    store::{self, requests::RequestRow},
};
use crate::{
    access::Access,
    auth::Identity,
    control::Control,
    db::{Db, Tx},
    error::{Code, Error, Result},
    id::{Id, Ids},
    notifications::NotificationService,
    room::Room,
};

/// Requests, offers, delivery and checkouts. Cheap to clone.
#[derive(Clone)]
pub struct MarketplaceService {
    db: Db,
    access: Access,
    ids: Ids,
    notifications: NotificationService,
    offers_per_request: u32,
}

impl MarketplaceService {
    /// The marketplace over this store; who may not be in a request's room any more is taken out.
    /// So many offers may wait for a decision on one request.
    #[must_use]
    pub fn new(
        db: Db,
        access: Access,
        ids: Ids,
        notifications: NotificationService,
        offers_per_request: u32,
    ) -> Self {
        Self { db, access, ids, notifications, offers_per_request }
    }

    /// Carries out a unit after which some may not be in the request's room any more: they hear of
    /// it, then they are taken out, even when the caller has hung up.
    async fn write_and_recheck<F>(&self, unit: F) -> Result<PurchaseRequest>
    where
        F: AsyncFnOnce(&mut Tx<'_>) -> Result<PurchaseRequest> + Send + 'static,
    {
        let (db, access) = (self.db.clone(), self.access.clone());
        self.db
            .run_to_completion(async move {
                let and_others = async move |tx: &mut Tx<'_>| {
                    let request = unit(tx).await?;
                    tx.instruct(Control::Recheck { room: Room::Request(request.id.clone()) });
                    Ok(request)
                };
                let request = db.write(and_others).await?;
                // Committed events are on their way before the unit is answered, so this comes after.
                access.recheck(&Room::Request(request.id.clone())).await;
                Ok(request)
            })
            .await
    }
}

/// A request that the caller may know of; for the others there is none.
async fn visible(
    tx: &mut Tx<'_>,
    caller: &Identity,
    row: Option<RequestRow>,
) -> Result<RequestRow> {
    let row = row.ok_or_else(no_request)?;
    if caller.operates() || may_see(tx, caller, &row.document).await? {
        Ok(row)
    } else {
        Err(no_request())
    }
}

/// [`found`], locked until the end of the unit.
async fn visible_for_update(tx: &mut Tx<'_>, caller: &Identity, id: &Id) -> Result<RequestRow> {
    let row = store::requests::find_for_update(tx, id).await?;
    visible(tx, caller, row).await
}

/// An offer with its request, both locked until the end of the unit.
async fn offer_for_update(
    tx: &mut Tx<'_>,
    caller: &Identity,
    id: &Id,
) -> Result<(PurchaseRequest, Offer)> {
    let offer = store::offers::find(tx, id).await?.ok_or_else(no_offer)?;
    let row =
        store::requests::find_for_update(tx, &offer.request_id).await?.ok_or_else(no_offer)?;
    // Whoever had the request locked before may have changed the offer.
    let offer = store::offers::find(tx, id).await?.ok_or_else(no_offer)?;
    let mine = offer.seller_id == caller.user_id || row.document.buyer_id == caller.user_id;
    if mine || caller.operates() { Ok((row.document, offer)) } else { Err(no_offer()) }
}

/// Moves a request on.
async fn advance(tx: &mut Tx<'_>, request: &mut PurchaseRequest, what: Move) -> Result<()> {
    request.status = what.from(request.status)?;
    request.updated_at = tx.now();
    store::requests::set_status(tx, request).await
}

fn conflict(sentence: &'static str) -> Error {
    Error::new(Code::Conflict, sentence)
}
