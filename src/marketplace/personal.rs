//! What the marketplace keeps of people: what they asked for, offered, sent and paid together. Erased,
//! that stays by their id, for the money's sake, without their words; what still waits for them is ended.

use futures_util::FutureExt;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    announcements,
    documents::{Delivery, Offer, OfferStatus, PurchaseRequest, RequestStatus},
    events::RequestChange,
    happenings,
    moves::Move,
    service::delivery_subject,
    store::{self, personal as own},
};
use crate::{
    db::{self, Tx},
    error::Result,
    id::Id,
    idempotency,
    notifications::{Happening, NotificationService},
    personal::{Cursor, Gone, Lines, PersonalData, ROWS, Step},
};

/// What the sellers are told with offers on a request that is called off.
const GONE: &str = "The buyer's account was erased.";

/// This room's part.
pub struct Personal {
    notifications: NotificationService,
}

impl Personal {
    /// The part of a marketplace of which users are notified so.
    #[must_use]
    pub fn new(notifications: NotificationService) -> Self {
        Self { notifications }
    }
}

/// What a seller said of the goods that they sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryLine<'a> {
    request_id: &'a Id,
    #[serde(flatten)]
    delivery: &'a Delivery,
}

impl PersonalData for Personal {
    fn export<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        user: &'a Id,
        from: &'a Cursor,
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
                3 => {
                    let sales = own::sales_of(tx, user, after, ROWS).await?;
                    for PurchaseRequest { id, delivery, .. } in &sales {
                        if let Some(delivery) = delivery {
                            lines.add("delivery", &DeliveryLine { request_id: id, delivery })?;
                        }
                    }
                    Ok(from.behind(&sales, |request| request.id.to_string()))
                }
                _ => Ok(None),
            }
        }
        .boxed_local()
    }

    fn erase<'a>(&'a self, tx: &'a mut Tx<'_>, user: &'a Id, from: &'a Cursor) -> Step<'a> {
        async move {
            let after = from.after.as_str();
            match from.table {
                0 => {
                    let requests = own::requests_of(tx, user, after, ROWS).await?;
                    for request in &requests {
                        if let Some(called_off) = erase_request(tx, &request.id).await? {
                            // Many may be told of each: one a unit.
                            self.notifications.notify_of(tx, vec![called_off]).await?;
                            let after = request.id.to_string();
                            return Ok(Some(Cursor { table: from.table, after }));
                        }
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
                2 => {
                    let sales = own::sales_of(tx, user, after, ROWS).await?;
                    for request in &sales {
                        erase_delivery(tx, &request.id).await?;
                    }
                    Ok(from.behind(&sales, |request| request.id.to_string()))
                }
                _ => Ok(None),
            }
        }
        .boxed_local()
    }

    fn redact(&self, object: &mut Map<String, Value>, gone: &Gone) -> bool {
        let (is_buyer, is_seller) =
            (gone.has(object.get("buyerId")), gone.has(object.get("sellerId")));
        let mut changed = false;
        if is_buyer && object.contains_key("description") {
            let words = [("title", "".into()), ("description", "".into())];
            let more = ["category", "metadata", "cancelReason"].map(|name| (name, Value::Null));
            changed |= take(object, words.into_iter().chain(more));
        }
        if is_seller && object.contains_key("deliveryDays") {
            changed |= take(object, [("message", Value::Null)]);
        }
        if is_seller && let Some(Value::Object(delivery)) = object.get_mut("delivery") {
            let words = ["status", "carrier", "trackingNumber"].map(|name| (name, Value::Null));
            changed |= take(delivery, words);
        }
        changed
    }
}

/// Takes words out of an object, as far as it has them, and leaves these instead; whether it had any.
fn take(
    object: &mut Map<String, Value>,
    words: impl IntoIterator<Item = (&'static str, Value)>,
) -> bool {
    words.into_iter().fold(false, |changed, (name, nothing)| {
        let said = object.get_mut(name).filter(|said| **said != nothing);
        let is_said = said.is_some();
        if let Some(said) = said {
            *said = nothing;
        }
        changed | is_said
    })
}

/// Leaves nothing of what a buyer said of a request; one that is open is called off, as its sellers are
/// to be notified.
async fn erase_request(tx: &mut Tx<'_>, id: &Id) -> Result<Option<Happening>> {
    let Some(row) = store::requests::find_for_update(tx, id).await? else { return Ok(None) };
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
    let mut called_off = None;
    if request.status == RequestStatus::Open {
        request.status = Move::Cancel.from(request.status)?;
        let sellers = store::offers::call_off(tx, id).await?;
        let told = PurchaseRequest { cancel_reason: Some(GONE.to_owned()), ..request.clone() };
        tx.announce(announcements::cancelled(&told, sellers.clone()));
        called_off = Some(happenings::orphaned(&request, GONE, sellers));
        tx.announce(announcements::changed(&request, RequestChange::StatusChanged));
    }
    if request == before {
        return Ok(None);
    }
    request.updated_at = tx.now();
    store::requests::set_details(tx, &request).await?;
    store::requests::set_status(tx, &request).await?;
    idempotency::rewrite(tx, id, &request).await?;
    Ok(called_off)
}

/// Leaves nothing of what a seller said of the goods that they sent.
async fn erase_delivery(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    let Some(row) = store::requests::find_for_update(tx, id).await? else { return Ok(()) };
    db::take_back(tx, &delivery_subject(id)).await?;
    let before = row.document;
    let mut request = before.clone();
    if let Some(delivery) = &mut request.delivery {
        (delivery.status, delivery.carrier, delivery.tracking_number) = (None, None, None);
    }
    if request == before {
        return Ok(());
    }
    request.updated_at = tx.now();
    store::requests::set_delivery(tx, &request).await
}

/// Leaves nothing of what a seller said to an offer; one that waits is withdrawn.
async fn erase_offer(tx: &mut Tx<'_>, offer: &Offer) -> Result<()> {
    let Some(row) = store::requests::find_for_update(tx, &offer.request_id).await? else {
        return Ok(());
    };
    let request = row.document;
    // Whoever had the request locked before may have changed the offer.
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
