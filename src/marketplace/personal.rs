//! What the marketplace keeps of people: what they asked for, offered and paid together. Erased, that
//! stays by their id, for the money's sake, without their words; what still waits for them is ended.

use futures_util::FutureExt;
use serde_json::{Map, Value};

use super::{
    announcements,
    documents::{Offer, OfferStatus, PurchaseRequest, RequestStatus},
    events::RequestChange,
    moves::Move,
    store::{self, personal as own},
};
use crate::{
    db::{self, Tx},
    error::Result,
    id::Id,
    idempotency,
    personal::{Lines, PersonalData, Place, ROWS, Step},
};

/// What the sellers are told with offers on a request that is called off.
const GONE: &str = "The buyer's account was erased.";

/// This room's part.
pub struct Personal;

impl PersonalData for Personal {
    fn export<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        user: &'a Id,
        from: &'a Place,
        lines: &'a mut Lines,
    ) -> Step<'a> {
        async move {
            let after = from.after.as_str();
            match from.table {
                0 => {
                    let requests = own::requests_of(tx, user, after, ROWS).await?;
                    from.tell(lines, "request", &requests, |request| &request.id)
                }
                1 => {
                    let offers = own::offers_of(tx, user, after, ROWS).await?;
                    from.tell(lines, "offer", &offers, |offer| &offer.id)
                }
                2 => {
                    let checkouts = own::checkouts_of(tx, user, after, ROWS).await?;
                    from.tell(lines, "checkout", &checkouts, |checkout| &checkout.id)
                }
                _ => Ok(None),
            }
        }
        .boxed_local()
    }

    fn erase<'a>(&'a self, tx: &'a mut Tx<'_>, user: &'a Id, from: &'a Place) -> Step<'a> {
        async move {
            let after = from.after.as_str();
            match from.table {
                0 => {
                    let requests = own::requests_of(tx, user, after, ROWS).await?;
                    for request in &requests {
                        erase_request(tx, &request.id).await?;
                    }
                    Ok(from.behind(&requests, |request| request.id.to_string()))
                }
                1 => {
                    let offers = own::offers_of(tx, user, after, ROWS).await?;
                    for offer in &offers {
                        erase_offer(tx, offer).await?;
                    }
                    Ok(from.behind(&offers, |offer| offer.id.to_string()))
                }
                _ => Ok(None),
            }
        }
        .boxed_local()
    }

    fn redact(&self, object: &mut Map<String, Value>, user: &Id) -> bool {
        let is = |who: &str| object.get(who).is_some_and(|id| id == user.as_str());
        if is("buyerId") && object.contains_key("description") {
            let words = [("title", "".into()), ("description", "".into())];
            let more = ["category", "metadata", "cancelReason"].map(|name| (name, Value::Null));
            return words.into_iter().chain(more).fold(false, |changed, (name, nothing)| {
                let said = object.get_mut(name).filter(|said| **said != nothing);
                let is_said = said.is_some();
                if let Some(said) = said {
                    *said = nothing;
                }
                changed | is_said
            });
        }
        if is("sellerId")
            && object.contains_key("deliveryDays")
            && let Some(said) = object.get_mut("message").filter(|said| !said.is_null())
        {
            *said = Value::Null;
            return true;
        }
        false
    }
}

/// Leaves nothing of what a buyer said of a request; one that is open is called off.
async fn erase_request(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    let Some(row) = store::requests::hold(tx, id).await? else { return Ok(()) };
    // Why they called it off, and did not take offers.
    db::take_back(tx, id).await?;
    let before = row.document;
    let mut request = PurchaseRequest {
        title: String::new(),
        description: String::new(),
        category: None,
        metadata: Value::Null,
        cancel_reason: None,
        ..before.clone()
    };
    if request.status == RequestStatus::Open {
        request.status = Move::Cancel.from(request.status)?;
        let sellers = store::offers::call_off(tx, id).await?;
        let told = PurchaseRequest { cancel_reason: Some(GONE.to_owned()), ..request.clone() };
        tx.announce(announcements::cancelled(&told, sellers));
        tx.announce(announcements::changed(&request, RequestChange::StatusChanged));
    }
    if request == before {
        return Ok(());
    }
    request.updated_at = tx.now();
    store::requests::set_details(tx, &request).await?;
    store::requests::set_status(tx, &request).await?;
    idempotency::rewrite(tx, id, &request).await
}

/// Leaves nothing of what a seller said to an offer; one that waits is withdrawn.
async fn erase_offer(tx: &mut Tx<'_>, offer: &Offer) -> Result<()> {
    let Some(row) = store::requests::hold(tx, &offer.request_id).await? else { return Ok(()) };
    let request = row.document;
    // Whoever held the request before may have changed the offer.
    let Some(offer) = store::offers::find(tx, &offer.id).await? else { return Ok(()) };
    if offer.status == OfferStatus::Pending && request.status == RequestStatus::Open {
        store::offers::set_status(tx, &offer.id, OfferStatus::Withdrawn).await?;
        tx.announce(announcements::changed(&request, RequestChange::OfferWithdrawn));
    }
    if offer.message.is_some() {
        own::erase_message(tx, &offer.id).await?;
    }
    Ok(())
}
