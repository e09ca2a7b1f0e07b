//! The rules of requests.

use std::{convert::identity, sync::Arc};

use super::{MarketplaceService, advance, visible, visible_for_update};
use crate::{
    auth::{Identity, Role},
    db::{self, Tx},
    error::{Error, Result},
    id::Id,
    idempotency,
    marketplace::{
        announcements,
        documents::{PurchaseRequest, RequestStatus},
        events::{NEW_PURCHASE_REQUEST, RequestChange},
        happenings,
        moves::Move,
        requests::{ChangeRequest, CreateRequest, Filter},
        rights::{ensure_is, ensure_trades_as},
        store::{self, listed::Listed, requests::RequestRow},
    },
    rest::list::{List, Page},
};

use super::conflict;

impl MarketplaceService {
    /// Makes a request.
    pub(in crate::marketplace) async fn create(
        &self,
        caller: Arc<Identity>,
        request: CreateRequest,
    ) -> Result<PurchaseRequest> {
        caller.ensure_person()?;
        ensure_trades_as(&caller, Role::Buyer)?;
        let id = Id::from(self.ids.next());
        let unit = async move |tx: &mut Tx<'_>| {
            let request = PurchaseRequest {
                id: id.clone(),
                underscore_id: id,
                buyer_id: caller.user_id.clone(),
                title: request.title,
                description: request.description,
                budget: request.budget.into(),
                category: request.category,
                metadata: request.metadata,
                status: RequestStatus::Open,
                accepted_offer_id: None,
                seller_id: None,
                payment_id: None,
                cancel_reason: None,
                delivery: None,
                created_at: tx.now(),
                updated_at: tx.now(),
            };
            let row = RequestRow { document: request, paid: None, code_hash: None, code_tries: 0 };
            store::requests::insert(tx, &row).await?;
            let request = row.document;
            tx.announce(announcements::requested(&request).about(request.id.clone()));
            Ok(request)
        };
        self.db.write(unit).await
    }

    /// The requests that the caller may see, the newest first.
    pub(in crate::marketplace) async fn list(
        &self,
        caller: Arc<Identity>,
        filter: Filter,
        page: Page,
    ) -> Result<List<PurchaseRequest>> {
        let before: Option<Id> = page.after()?;
        let unit = async move |tx: &mut Tx<'_>| {
            let listed = Listed {
                user: &caller.user_id,
                all: caller.operates(),
                open: caller.trades_as(Role::Seller),
                status: filter.status,
                buyer: filter.buyer_id.as_ref(),
                before: before.as_ref(),
            };
            let limit = i64::try_from(page.fetch()).unwrap_or(i64::MAX);
            let rows = store::listed::list(tx, &listed, limit).await?;
            Ok(List::of(rows, &page, |request| request.id.to_string(), identity))
        };
        self.db.read(unit).await
    }

    /// A request.
    pub(in crate::marketplace) async fn get(
        &self,
        caller: Arc<Identity>,
        id: Id,
    ) -> Result<PurchaseRequest> {
        let unit = async move |tx: &mut Tx<'_>| {
            let row = store::requests::find(tx, &id).await?;
            Ok(visible(tx, &caller, row).await?.document)
        };
        self.db.read(unit).await
    }

    /// Changes what the buyer said of an open request.
    pub(in crate::marketplace) async fn change(
        &self,
        caller: Arc<Identity>,
        id: Id,
        change: ChangeRequest,
    ) -> Result<PurchaseRequest> {
        let ChangeRequest { title, description, budget, category, metadata } = change;
        let unit = async move |tx: &mut Tx<'_>| {
            let mut request = visible_for_update(tx, &caller, &id).await?.document;
            ensure_is(&caller, Some(&request.buyer_id), "the request's buyer")?;
            if request.status != RequestStatus::Open {
                return Err(conflict("Only an open request can be changed."));
            }
            let before = request.clone();
            request.title = title.unwrap_or(request.title);
            request.description = description.unwrap_or(request.description);
            request.budget = budget.map_or(request.budget, Into::into);
            request.category = category.or(request.category);
            request.metadata = metadata.unwrap_or(request.metadata);
            if request == before {
                return Ok(request);
            }
            request.updated_at = tx.now();
            store::requests::set_details(tx, &request).await?;
            rewrite_kept(tx, &request).await?;
            idempotency::rewrite(tx, &request.id, &request).await?;
            tx.announce(announcements::changed(&request, RequestChange::DetailsChanged));
            Ok(request)
        };
        self.db.write(unit).await
    }

    /// Calls a request off.
    pub(in crate::marketplace) async fn cancel(
        &self,
        caller: Arc<Identity>,
        id: Id,
        reason: String,
    ) -> Result<PurchaseRequest> {
        let notifications = self.notifications.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let mut request = visible_for_update(tx, &caller, &id).await?.document;
            if !caller.has(Role::Admin) {
                ensure_is(&caller, Some(&request.buyer_id), "the request's buyer")?;
            }
            request.cancel_reason = Some(reason);
            advance(tx, &mut request, Move::Cancel).await?;
            let sellers = store::offers::call_off(tx, &id).await?;
            tx.announce(announcements::cancelled(&request, sellers.clone()).about(id));
            tx.announce(announcements::changed(&request, RequestChange::StatusChanged));
            let happenings = vec![happenings::cancelled(&request, &caller.user_id, sellers)];
            notifications.notify_of(tx, happenings).await?;
            Ok(request)
        };
        self.write_and_recheck(unit).await
    }

    /// Calls a delivered request done.
    pub(in crate::marketplace) async fn complete(
        &self,
        caller: Arc<Identity>,
        id: Id,
    ) -> Result<PurchaseRequest> {
        let unit = async move |tx: &mut Tx<'_>| {
            let row = visible_for_update(tx, &caller, &id).await?;
            let (mut request, paid) = (row.document, row.paid);
            if !caller.has(Role::Service) {
                ensure_is(&caller, Some(&request.buyer_id), "the request's buyer")?;
            }
            advance(tx, &mut request, Move::Complete).await?;
            let (seller, payment) = (request.seller_id.clone(), request.payment_id.clone());
            let (Some(seller), Some(payment), Some(paid)) = (seller, payment, paid) else {
                return Err(Error::internal("a delivered request has no payment"));
            };
            tx.announce(announcements::completed(&request, seller, payment, paid));
            tx.announce(announcements::changed(&request, RequestChange::StatusChanged));
            Ok(request)
        };
        self.db.write(unit).await
    }
}

/// Has the kept event that tells of an open request tell of it as it is: who hears it again does not
/// hear what was taken back.
async fn rewrite_kept(tx: &mut Tx<'_>, request: &PurchaseRequest) -> Result<()> {
    for event in db::events_about(tx, &request.id).await? {
        let mut told = event.wire_events.iter().map(|wire_event| wire_event.event.as_str());
        if told.any(|name| name == NEW_PURCHASE_REQUEST.name) {
            db::rewrite(tx, &event, &[announcements::requested(request)]).await?;
        }
    }
    Ok(())
}
