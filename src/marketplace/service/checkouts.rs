//! The rules of checkouts. Their payment is a backend's, which tells how far it is.

use std::{collections::BTreeSet, sync::Arc};

use super::{MarketplaceService, conflict};
use crate::{
    auth::{Identity, Role},
    db::Tx,
    error::{Error, Result},
    id::Id,
    marketplace::{
        announcements,
        documents::{Checkout, CheckoutStatus, RequestStatus},
        requests::{CheckoutPayment, CreateCheckout},
        rights::{ensure_trades_as, no_checkout},
        store::{checkouts, requests},
    },
};

/// What is said of a failed payment without a reason.
const FAILED: &str = "The payment failed.";

impl MarketplaceService {
    /// Makes a checkout over requests of the caller.
    pub(in crate::marketplace) async fn check_out(
        &self,
        caller: Arc<Identity>,
        request: CreateCheckout,
    ) -> Result<Checkout> {
        caller.ensure_person()?;
        ensure_trades_as(&caller, Role::Buyer)?;
        let id = Id::from(self.ids.next());
        let unit = async move |tx: &mut Tx<'_>| {
            let mut seen = BTreeSet::new();
            for (index, request) in request.request_ids.iter().enumerate() {
                let refuse = |detail| Err(Error::invalid(format!("/requestIds/{index}"), detail));
                if !seen.insert(request) {
                    return refuse("is there twice");
                }
                match requests::find(tx, request).await?.map(|row| row.document) {
                    Some(own) if own.buyer_id == caller.user_id => {
                        if own.status == RequestStatus::Cancelled {
                            return refuse("is cancelled");
                        }
                    }
                    _ => return refuse("is not a request of yours"),
                }
            }
            let checkout = Checkout {
                id: id.clone(),
                underscore_id: id,
                buyer_id: caller.user_id.clone(),
                request_ids: request.request_ids,
                status: CheckoutStatus::Open,
                payment_id: None,
                reason: None,
                created_at: tx.now(),
                updated_at: tx.now(),
            };
            checkouts::insert(tx, &checkout).await?;
            Ok(checkout)
        };
        self.db.write(unit).await
    }

    /// A checkout, for its buyer and the sellers in it.
    pub(in crate::marketplace) async fn checkout(
        &self,
        caller: Arc<Identity>,
        id: Id,
    ) -> Result<Checkout> {
        let unit = async move |tx: &mut Tx<'_>| {
            let checkout = checkouts::find(tx, &id).await?.ok_or_else(no_checkout)?;
            let takes_part = checkout.buyer_id == caller.user_id
                || checkouts::sellers(tx, &id).await?.contains(&caller.user_id);
            if takes_part || caller.operates() { Ok(checkout) } else { Err(no_checkout()) }
        };
        self.db.read(unit).await
    }

    /// Notes how far a checkout's payment is. The same again changes nothing.
    pub(in crate::marketplace) async fn pay_checkout(
        &self,
        id: Id,
        payment: CheckoutPayment,
    ) -> Result<Checkout> {
        use CheckoutStatus::{Confirmed, Failed, Open};

        if payment.status == Open {
            return Err(Error::invalid("/status", "is pending, confirmed or failed"));
        }
        let unit = async move |tx: &mut Tx<'_>| {
            let mut checkout =
                checkouts::find_for_update(tx, &id).await?.ok_or_else(no_checkout)?;
            if checkout.status == payment.status {
                return Ok(checkout);
            }
            if checkout.status == Confirmed {
                return Err(conflict("The checkout is paid."));
            }
            checkout.status = payment.status;
            checkout.payment_id = payment.payment_id.or(checkout.payment_id);
            checkout.reason = (payment.status == Failed)
                .then(|| payment.reason.unwrap_or_else(|| FAILED.to_owned()));
            checkout.updated_at = tx.now();
            checkouts::set_status(tx, &checkout).await?;
            let sellers = checkouts::sellers(tx, &id).await?;
            if let Some(event) = announcements::checkout_changed(&checkout, sellers) {
                tx.announce(event);
            }
            Ok(checkout)
        };
        self.db.write(unit).await
    }
}
