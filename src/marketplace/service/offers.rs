//! The rules of offers.

use std::{collections::BTreeSet, convert::identity, sync::Arc};

use super::{MarketplaceService, advance, conflict, offer_for_update, visible, visible_for_update};
use crate::{
    auth::{Identity, Role},
    db::Tx,
    error::Result,
    id::Id,
    marketplace::{
        announcements,
        documents::{Offer, OfferStatus, PurchaseRequest, RequestStatus},
        events::RequestChange,
        happenings,
        moves::Move,
        requests::CreateOffer,
        rights::{ensure_is, ensure_trades_as, no_request},
        store,
    },
    rest::list::{List, Page},
};

/// What the sellers are told whose offers were not taken.
const ANOTHER_WAS_ACCEPTED: &str = "The buyer accepted another offer.";

impl MarketplaceService {
    /// Makes an offer on an open request.
    pub(in crate::marketplace) async fn offer(
        &self,
        caller: Arc<Identity>,
        request_id: Id,
        offer: CreateOffer,
    ) -> Result<Offer> {
        caller.ensure_person()?;
        ensure_trades_as(&caller, Role::Seller)?;
        let id = Id::from(self.ids.next());
        let most = self.offers_per_request;
        let notifications = self.notifications.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let request = visible_for_update(tx, &caller, &request_id).await?.document;
            if request.buyer_id == caller.user_id {
                return Err(conflict("This is your own request."));
            }
            if request.status != RequestStatus::Open {
                return Err(conflict("The request takes no more offers."));
            }
            if store::offers::pending(tx, &request.id, most).await? >= most {
                return Err(conflict("The request has as many offers as it takes for now."));
            }
            let offer = Offer {
                id: id.clone(),
                underscore_id: id,
                request_id,
                seller_id: caller.user_id.clone(),
                amount: offer.amount,
                currency: offer.currency,
                message: offer.message,
                delivery_days: offer.delivery_days,
                status: OfferStatus::Pending,
                is_selected: false,
                created_at: tx.now(),
                updated_at: tx.now(),
            };
            if !store::offers::insert(tx, &offer, &request.buyer_id, false).await? {
                return Err(conflict("You have an offer on this request; withdraw it first."));
            }
            tx.announce(announcements::offered(request.buyer_id.clone(), &offer));
            tx.announce(announcements::changed(&request, RequestChange::OfferCreated));
            let happenings = vec![happenings::offered(&request, &offer)];
            notifications.notify_of(tx, happenings).await?;
            Ok(offer)
        };
        self.db.write(unit).await
    }

    /// The offers on a request, the newest first: all for its buyer, their own for a seller.
    pub(in crate::marketplace) async fn offers(
        &self,
        caller: Arc<Identity>,
        request_id: Id,
        page: Page,
    ) -> Result<List<Offer>> {
        let before: Option<Id> = page.after()?;
        let unit = async move |tx: &mut Tx<'_>| {
            let row = store::requests::find(tx, &request_id).await?.ok_or_else(no_request)?;
            let all = row.document.buyer_id == caller.user_id || caller.operates();
            let seller = (!all).then_some(&caller.user_id);
            let limit = i64::try_from(page.fetch()).unwrap_or(i64::MAX);
            let before = before.as_ref();
            let offers = store::offers::list(tx, &request_id, seller, before, limit).await?;
            // Who did not win may not know of the request any more, but of what they offered.
            if offers.is_empty() {
                visible(tx, &caller, Some(row)).await?;
            }
            Ok(List::of(offers, &page, |offer| offer.id.to_string(), identity))
        };
        self.db.read(unit).await
    }

    /// Takes an offer; the others on the request are rejected with it.
    pub(in crate::marketplace) async fn accept(
        &self,
        caller: Arc<Identity>,
        id: Id,
    ) -> Result<PurchaseRequest> {
        let notifications = self.notifications.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let (mut request, offer) = offer_for_update(tx, &caller, &id).await?;
            ensure_is(&caller, Some(&request.buyer_id), "the request's buyer")?;
            request.accepted_offer_id = Some(id.clone());
            request.seller_id = Some(offer.seller_id.clone());
            // Before the offer's own status: of two at once the later finds the request taken.
            advance(tx, &mut request, Move::Accept).await?;
            ensure_pending(&offer)?;
            store::offers::set_status(tx, &id, OfferStatus::Accepted).await?;
            tx.announce(announcements::accepted(&offer));
            let mut losers = BTreeSet::new();
            for other in store::offers::reject_pending(tx, &request.id).await? {
                let reason = Some(ANOTHER_WAS_ACCEPTED.to_owned());
                tx.announce(announcements::rejected(&other, reason));
                losers.insert(other.seller_id);
            }
            tx.announce(announcements::changed(&request, RequestChange::OfferAccepted));
            let rejected = happenings::rejected(&request, losers, Some(ANOTHER_WAS_ACCEPTED));
            let happenings = vec![happenings::accepted(&request, &offer), rejected];
            notifications.notify_of(tx, happenings).await?;
            Ok(request)
        };
        self.write_and_recheck(unit).await
    }

    /// Does not take an offer.
    pub(in crate::marketplace) async fn reject(
        &self,
        caller: Arc<Identity>,
        id: Id,
        reason: Option<String>,
    ) -> Result<Offer> {
        let notifications = self.notifications.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let (request, offer) = offer_for_update(tx, &caller, &id).await?;
            ensure_is(&caller, Some(&request.buyer_id), "the request's buyer")?;
            let offer = end(tx, &request, offer, OfferStatus::Rejected).await?;
            let rejected = announcements::rejected(&offer, reason.clone());
            tx.announce(rejected.about(request.id.clone()));
            tx.announce(announcements::changed(&request, RequestChange::OfferRejected));
            let sellers = BTreeSet::from([offer.seller_id.clone()]);
            let happenings = vec![happenings::rejected(&request, sellers, reason.as_deref())];
            notifications.notify_of(tx, happenings).await?;
            Ok(offer)
        };
        self.db.write(unit).await
    }

    /// Takes one's own offer back.
    pub(in crate::marketplace) async fn withdraw(
        &self,
        caller: Arc<Identity>,
        id: Id,
    ) -> Result<()> {
        let unit = async move |tx: &mut Tx<'_>| {
            let (request, offer) = offer_for_update(tx, &caller, &id).await?;
            ensure_is(&caller, Some(&offer.seller_id), "the offer's seller")?;
            end(tx, &request, offer, OfferStatus::Withdrawn).await?;
            tx.announce(announcements::changed(&request, RequestChange::OfferWithdrawn));
            Ok(())
        };
        self.db.write(unit).await
    }
}

/// Decides an offer that waits for it.
async fn end(
    tx: &mut Tx<'_>,
    request: &PurchaseRequest,
    mut offer: Offer,
    status: OfferStatus,
) -> Result<Offer> {
    ensure_pending(&offer)?;
    if request.status != RequestStatus::Open {
        return Err(conflict("The request is called off."));
    }
    store::offers::set_status(tx, &offer.id, status).await?;
    offer.status = status;
    offer.updated_at = tx.now();
    Ok(offer)
}

fn ensure_pending(offer: &Offer) -> Result<()> {
    match offer.status {
        OfferStatus::Pending => Ok(()),
        OfferStatus::Accepted => Err(conflict("The offer is accepted.")),
        OfferStatus::Rejected => Err(conflict("The offer is rejected.")),
        OfferStatus::Withdrawn => Err(conflict("The offer is withdrawn.")),
    }
}
