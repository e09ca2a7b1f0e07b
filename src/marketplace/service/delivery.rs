//! The rules of delivery. The seller has a code made and hands it over with the goods; the buyer
//! enters it. The request keeps a hash of it, and it may be tried five times. In plain it is where it is
//! told again, in the event and in the answer under an `Idempotency-Key`, as long as it serves.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{MarketplaceService, advance, conflict, visible_for_update};
use crate::{
    auth::Identity,
    db::{self, Tx},
    error::{Error, Result},
    id::{Id, readable_code},
    idempotency,
    marketplace::{
        announcements,
        documents::{PurchaseRequest, RequestStatus},
        events::RequestChange,
        happenings,
        moves::Move,
        requests::ChangeDelivery,
        rights::ensure_is,
        store,
    },
};

/// How often a code may be tried.
const TRIES: u32 = 5;

/// The word of a seller that moves a paid request on.
const SHIPPED: &str = "shipped";

/// What became of a code that was tried.
#[derive(Clone)]
pub(in crate::marketplace) enum Tried {
    /// It was the one, and the request is delivered.
    Right(Box<PurchaseRequest>),
    /// It was another, and so many tries are left.
    Wrong { left: u32 },
}

impl Tried {
    /// The request, or why it is not delivered.
    pub(in crate::marketplace) fn into_result(self) -> Result<PurchaseRequest> {
        match self {
            Self::Right(request) => Ok(*request),
            Self::Wrong { left } => {
                Err(Error::invalid("/code", format!("is not the delivery code; {left} tries left")))
            }
        }
    }
}

impl MarketplaceService {
    /// Makes the code that the seller hands over; an earlier one is worth nothing any more.
    pub(in crate::marketplace) async fn make_code(
        &self,
        caller: Arc<Identity>,
        id: Id,
    ) -> Result<String> {
        let code = readable_code();
        let unit = async move |tx: &mut Tx<'_>| {
            let request = visible_for_update(tx, &caller, &id).await?.document;
            ensure_is(&caller, request.seller_id.as_ref(), "the seller whose offer was accepted")?;
            ensure_under_way(&request)?;
            forget_code(tx, &id).await?;
            store::requests::set_code(tx, &id, hash(&id, &code), TRIES).await?;
            let generated =
                announcements::code_generated(&request, caller.user_id.clone(), code.clone());
            tx.announce(generated.about(code_subject(&id)));
            Ok(code)
        };
        self.db.write(unit).await
    }

    /// Notes where the goods are.
    pub(in crate::marketplace) async fn change_delivery(
        &self,
        caller: Arc<Identity>,
        id: Id,
        change: ChangeDelivery,
    ) -> Result<PurchaseRequest> {
        let notifications = self.notifications.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let mut request = visible_for_update(tx, &caller, &id).await?.document;
            ensure_is(&caller, request.seller_id.as_ref(), "the seller whose offer was accepted")?;
            ensure_under_way(&request)?;
            let ships = change.status == SHIPPED && request.status == RequestStatus::Paid;
            let before = request.delivery.clone();
            let delivery = request.delivery.get_or_insert_default();
            delivery.status = Some(change.status);
            delivery.carrier = change.carrier.or_else(|| delivery.carrier.take());
            delivery.tracking_number =
                change.tracking_number.or_else(|| delivery.tracking_number.take());
            if ships {
                advance(tx, &mut request, Move::Ship).await?;
            } else if request.delivery == before {
                return Ok(request);
            }
            request.updated_at = tx.now();
            store::requests::set_delivery(tx, &request).await?;
            let subject = delivery_subject(&request.id);
            tx.announce(announcements::delivery_changed(&request).about(subject));
            tx.announce(announcements::changed(&request, RequestChange::DeliveryChanged));
            if ships {
                notifications.notify_of(tx, vec![happenings::shipped(&request)]).await?;
            }
            Ok(request)
        };
        self.db.write(unit).await
    }

    /// Confirms the delivery with the code that came with the goods.
    pub(in crate::marketplace) async fn confirm_delivery(
        &self,
        caller: Arc<Identity>,
        id: Id,
        code: String,
    ) -> Result<Tried> {
        let notifications = self.notifications.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let row = visible_for_update(tx, &caller, &id).await?;
            let mut request = row.document;
            ensure_is(&caller, Some(&request.buyer_id), "the request's buyer")?;
            Move::Deliver.from(request.status)?;
            let Some(expected) = row.code_hash else {
                return Err(conflict("The seller has not made a delivery code yet."));
            };
            if row.code_tries == 0 {
                let sentence = "This delivery code is used up; the seller has to make another.";
                return Err(conflict(sentence).with_reason("delivery_code_used_up"));
            }
            if !bool::from(hash(&id, &code).ct_eq(&expected)) {
                store::requests::take_try(tx, &id).await?;
                let left = row.code_tries - 1;
                if left == 0 {
                    forget_code(tx, &id).await?;
                }
                return Ok(Tried::Wrong { left });
            }
            forget_code(tx, &id).await?;
            request.delivery.get_or_insert_default().delivered_at = Some(tx.now());
            advance(tx, &mut request, Move::Deliver).await?;
            tx.announce(announcements::delivered(&request));
            tx.announce(announcements::changed(&request, RequestChange::StatusChanged));
            notifications.notify_of(tx, vec![happenings::delivered(&request)]).await?;
            Ok(Tried::Right(Box::new(request)))
        };
        self.db.write(unit).await
    }

    /// Notes that the buyer has the goods. A second time changes nothing.
    pub(in crate::marketplace) async fn confirm_by_buyer(
        &self,
        caller: Arc<Identity>,
        id: Id,
    ) -> Result<PurchaseRequest> {
        let unit = async move |tx: &mut Tx<'_>| {
            let mut request = visible_for_update(tx, &caller, &id).await?.document;
            ensure_is(&caller, Some(&request.buyer_id), "the request's buyer")?;
            if !matches!(request.status, RequestStatus::Shipped | RequestStatus::Delivered) {
                return Err(conflict("The request is not shipped, or done already."));
            }
            let delivery = request.delivery.get_or_insert_default();
            if delivery.buyer_confirmed_at.is_some() {
                return Ok(request);
            }
            delivery.buyer_confirmed_at = Some(tx.now());
            request.updated_at = tx.now();
            store::requests::set_delivery(tx, &request).await?;
            let seller = request.seller_id.clone();
            let seller =
                seller.ok_or_else(|| Error::internal("a shipped request has no seller"))?;
            tx.announce(announcements::buyer_confirmed(&request, seller));
            Ok(request)
        };
        self.db.write(unit).await
    }
}

/// Refuses what belongs to goods that are on their way.
fn ensure_under_way(request: &PurchaseRequest) -> Result<()> {
    match request.status {
        RequestStatus::Paid | RequestStatus::Shipped => Ok(()),
        _ => Err(conflict("This is for a request that is paid or shipped.")),
    }
}

/// What shows the code of a request that serves, and nothing else of the request: what shows that is
/// written anew with it.
pub(in crate::marketplace) fn code_subject(request: &Id) -> Id {
    subject("delivery code", request)
}

/// What shows the seller's words of a delivery, and nothing else of the request.
pub(in crate::marketplace) fn delivery_subject(request: &Id) -> Id {
    subject("delivery", request)
}

fn subject(of: &str, request: &Id) -> Id {
    let hash = Sha256::digest(format!("{of} {request}"));
    Uuid::from_bytes(std::array::from_fn(|at| hash[at])).into()
}

/// Leaves the code of a request in plain nowhere: it does not serve any more.
async fn forget_code(tx: &mut Tx<'_>, request: &Id) -> Result<()> {
    let subject = code_subject(request);
    db::take_back(tx, &subject).await?;
    idempotency::forget(tx, &subject).await
}

/// What is stored of a code, however it is written. The request is in it, so that equal codes do
/// not look equal.
fn hash(request: &Id, code: &str) -> Vec<u8> {
    let letters = code.chars().filter(char::is_ascii_alphanumeric);
    let code: String = letters.map(|letter| letter.to_ascii_uppercase()).collect();
    Sha256::new()
        .chain_update(request.as_str())
        .chain_update(" ")
        .chain_update(code)
        .finalize()
        .to_vec()
}
