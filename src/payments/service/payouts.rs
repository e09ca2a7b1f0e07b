//! The rules of payouts. Money leaves here, so each is written down before the provider is asked,
//! and the provider is asked once: what is not clear afterwards is asked for, never done again.

use std::sync::Arc;

use super::{
    PaymentService, Provider,
    payable::check_payment,
    refusals::{conflict, no_payout, not_done, paid_out},
    token,
};
use crate::{
    auth::Identity,
    db::Tx,
    error::{Code, Error, Result},
    id::Id,
    notifications::NotificationService,
    payments::{
        announcements,
        documents::Payout,
        events::{PaymentProvider, PayoutStatus},
        happenings,
        requests::CreatePayout,
        shkeeper::{
            PayoutOrder, PayoutProgress, ProviderError, ROUNDING, StartedPayout,
            callback::PayoutCallback,
        },
        store::payouts::{self, PayoutRow},
        transaction,
    },
};

/// What is said of a payout that nobody knows the outcome of.
const NOT_CLEAR: &str = "the provider's answer was lost; it may have been paid";

/// What is said of a payout whose outcome could not be written down.
const NOT_KEPT: &str = "the store failed after the provider was asked; it may have been paid";

/// What is said of a payout that the provider did not take.
const NOT_TAKEN: &str = "the provider did not take it";

impl PaymentService {
    /// Begins a payout.
    pub(in crate::payments) async fn pay_out(
        &self,
        caller: Arc<Identity>,
        request: CreatePayout,
        name: Option<Vec<u8>>,
    ) -> Result<Payout> {
        let provider = match request.provider {
            PaymentProvider::Shkeeper => Some(self.provider()?.clone()),
            PaymentProvider::Decentralized => None,
        };
        if provider.as_ref().is_some_and(|provider| !provider.client.pays_out()) {
            let sentence = "This server may not ask shkeeper for payouts (SHKEEPER_USER).";
            return Err(conflict(sentence).with_reason("provider_off"));
        }
        let user = caller.user_id.clone();
        let permit = match &provider {
            Some(_) => Some(self.payouts.permit(&user).await?),
            None => None,
        };
        let service = self.clone();
        self.db
            .run_to_completion(async move {
                let _permit = permit;
                let token = provider.is_some().then(token);
                let (payout, begun) =
                    service.begin_payout(user, request, token.clone(), name).await?;
                if !begun {
                    return Ok(payout);
                }
                tracing::info!(payout = %payout.id, by = %caller.user_id, "a payout was begun");
                match provider.zip(token) {
                    Some((provider, token)) => service.order(&provider, &token, payout).await,
                    None => Ok(payout),
                }
            })
            .await
    }

    /// Writes a payout down. Without a provider to ask, that is all there is to do. With false the
    /// one that the same request began before, whatever became of its answer.
    async fn begin_payout(
        &self,
        caller: Id,
        request: CreatePayout,
        token: Option<String>,
        name: Option<Vec<u8>>,
    ) -> Result<(Payout, bool)> {
        let id = Id::from(self.ids.next());
        let (allowance, pegs) = (self.payouts.clone(), self.pegs.clone());
        let unit = async move |tx: &mut Tx<'_>| {
            if let Some(name) = &name
                && let Some(mut payout) = payouts::of_request(tx, name).await?
            {
                ensure_same(&payout, &request)?;
                let by_provider = payout.provider == PaymentProvider::Shkeeper;
                if by_provider && payout.status == PayoutStatus::Pending && payout.reason.is_none()
                {
                    // Whether the provider was asked before the answer was lost, nobody knows.
                    payout.reason = Some(NOT_CLEAR.to_owned());
                    payout.updated_at = tx.now();
                    payouts::set_status(tx, &payout).await?;
                }
                return Ok((payout, false));
            }
            if let Some(payment) = &request.payment_id {
                check_payment(tx, payment, &request, &pegs).await?;
            }
            allowance.take(&caller)?;
            let payout = Payout {
                id: id.clone(),
                underscore_id: id,
                seller_id: request.seller_id,
                payment_id: request.payment_id,
                amount: request.amount,
                currency: request.currency,
                destination: request.destination,
                provider: request.provider,
                status: PayoutStatus::Pending,
                task_id: None,
                tx_hash: None,
                reason: None,
                created_at: tx.now(),
                updated_at: tx.now(),
            };
            let asks = token.is_some();
            let row = PayoutRow { document: payout, webhook_token: token, request_name: name };
            if !payouts::insert(tx, &row).await? {
                return Err(paid_out());
            }
            let payout = row.document;
            if !asks {
                tx.announce(announcements::payout_created(&payout));
            }
            Ok((payout, true))
        };
        self.db.write(unit).await
    }

    /// Asks the provider for a payout that is written down, and notes what is known then.
    async fn order(&self, provider: &Provider, token: &str, payout: Payout) -> Result<Payout> {
        let order = PayoutOrder {
            external_id: payout.id.to_string(),
            amount: payout.amount,
            destination: payout.destination.clone(),
            callback_url: provider.payout_callback(token),
        };
        let asked = provider.client.payout(&payout.currency, &order).await;
        if let Err(error) = &asked {
            tracing::warn!(%error, payout = %payout.id, "a payout was not begun as asked");
        }
        let ordered = match asked {
            Ok(started) => self.ordered(payout.id.clone(), Some(started)).await,
            // It may be on its way: what is told is that it was begun.
            Err(ProviderError::Unclear(_)) => self.ordered(payout.id.clone(), None).await,
            Err(error) => {
                self.not_ordered(payout.id).await?;
                return Err(not_done(error));
            }
        };
        // The money may be on its way, so nobody is told to try again: who asks for payouts under
        // way will find out.
        Ok(ordered.unwrap_or_else(|error| {
            tracing::error!(?error, payout = %payout.id, "what became of a payout was not kept");
            Payout { reason: Some(NOT_KEPT.to_owned()), ..payout }
        }))
    }

    async fn ordered(&self, id: Id, started: Option<StartedPayout>) -> Result<Payout> {
        let unit = async move |tx: &mut Tx<'_>| {
            let mut payout = payouts::find_for_update(tx, &id).await?.ok_or_else(no_payout)?;
            match started {
                Some(started) => {
                    payout.task_id = started.task_id;
                    let sent = started.txids.into_iter().next().map(transaction::name);
                    payout.tx_hash = payout.tx_hash.or(sent);
                    // A fast callback may have come first.
                    if payout.status == PayoutStatus::Pending {
                        payout.status = PayoutStatus::Processing;
                    }
                }
                None if payout.status == PayoutStatus::Pending => {
                    payout.reason = Some(NOT_CLEAR.to_owned());
                }
                None => {}
            }
            payout.updated_at = tx.now();
            payouts::set_status(tx, &payout).await?;
            tx.announce(announcements::payout_created(&payout));
            Ok(payout)
        };
        self.db.write(unit).await
    }

    /// Nobody has heard of the payout yet, so nobody hears of its end.
    async fn not_ordered(&self, id: Id) -> Result<()> {
        let unit = async move |tx: &mut Tx<'_>| {
            let mut payout = payouts::find_for_update(tx, &id).await?.ok_or_else(no_payout)?;
            if payout.status != PayoutStatus::Pending {
                return Ok(());
            }
            payout.status = PayoutStatus::Failed;
            payout.reason = Some(NOT_TAKEN.to_owned());
            // Surely not made, so the same request may make another.
            payouts::forget_request(tx, &id).await?;
            payout.updated_at = tx.now();
            payouts::set_status(tx, &payout).await
        };
        self.db.write(unit).await
    }

    /// A payout.
    pub(in crate::payments) async fn payout(&self, id: Id) -> Result<Payout> {
        let unit = async move |tx: &mut Tx<'_>| payouts::find(tx, &id).await?.ok_or_else(no_payout);
        self.db.read(unit).await
    }

    /// Notes where a payout stands, as a backend says. The same again changes nothing.
    pub(in crate::payments) async fn change_payout(
        &self,
        id: Id,
        status: PayoutStatus,
        tx_hash: Option<String>,
    ) -> Result<Payout> {
        let tx_hash = tx_hash.map(transaction::name);
        let notifications = self.notifications.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let payout = payouts::find_for_update(tx, &id).await?.ok_or_else(no_payout)?;
            match (payout.status, status) {
                (now, then) if now == then => return fill_hash(tx, payout, tx_hash).await,
                (PayoutStatus::Completed, _) => return Err(conflict("The payout is through.")),
                (PayoutStatus::Failed, _) => return Err(conflict("The payout failed.")),
                (PayoutStatus::Processing, PayoutStatus::Pending) => {
                    return Err(conflict("The provider works on the payout already."));
                }
                _ => {}
            }
            advance(tx, &notifications, payout, status, tx_hash, None).await
        };
        self.db.write(unit).await
    }

    /// Notes what the provider says of a payout.
    pub(in crate::payments) async fn note_payout(
        &self,
        id: Id,
        status: PayoutStatus,
        tx_hash: Option<String>,
    ) -> Result<()> {
        let notifications = self.notifications.clone();
        let unit =
            async move |tx: &mut Tx<'_>| settle(tx, &notifications, &id, status, tx_hash).await;
        self.db.write(unit).await
    }
}

/// Refuses another payout under the name of one that was begun.
fn ensure_same(payout: &Payout, request: &CreatePayout) -> Result<()> {
    let same = payout.seller_id == request.seller_id
        && payout.payment_id == request.payment_id
        && payout.amount == request.amount
        && payout.currency == request.currency
        && payout.destination == request.destination
        && payout.provider == request.provider;
    if same {
        Ok(())
    } else {
        Err(Error::new(
            Code::InvalidPayload,
            "This Idempotency-Key came with another payout before.",
        ))
    }
}

/// Notes a transaction that was not known yet.
async fn fill_hash(tx: &mut Tx<'_>, mut payout: Payout, tx_hash: Option<String>) -> Result<Payout> {
    match (&payout.tx_hash, tx_hash) {
        (None, Some(tx_hash)) => {
            payout.tx_hash = Some(tx_hash);
            payout.updated_at = tx.now();
            payouts::set_status(tx, &payout).await?;
            Ok(payout)
        }
        (Some(known), Some(other)) if !transaction::is_same(known, &other) => {
            Err(conflict("The payout has another transaction."))
        }
        _ => Ok(payout),
    }
}

/// Notes what a callback tells, where it is of the money that was asked for.
pub(super) async fn told(
    tx: &mut Tx<'_>,
    notifications: &NotificationService,
    id: &Id,
    told: PayoutCallback,
) -> Result<()> {
    let payout = payouts::find(tx, id).await?.ok_or_else(no_payout)?;
    if told.crypto != payout.currency {
        return Err(Error::invalid("/crypto", "is not the coin of this payout"));
    }
    let (most, least) = (told.amount.plus(ROUNDING), payout.amount.plus(ROUNDING));
    if most < payout.amount || least < told.amount {
        return Err(Error::invalid("/amount", "is not the amount of this payout"));
    }
    settle(tx, notifications, id, told.status.into(), Some(told.tx_hash)).await
}

/// Notes what the provider says of a payout. That money left is a fact, also where it was held to
/// have failed.
pub(super) async fn settle(
    tx: &mut Tx<'_>,
    notifications: &NotificationService,
    id: &Id,
    status: PayoutStatus,
    tx_hash: Option<String>,
) -> Result<()> {
    let tx_hash = tx_hash.map(transaction::name);
    let payout = payouts::find_for_update(tx, id).await?.ok_or_else(no_payout)?;
    if payout.status == PayoutStatus::Completed {
        if payout.tx_hash.is_none() {
            fill_hash(tx, payout, tx_hash).await?;
        }
        return Ok(());
    }
    let news = match (payout.status, status) {
        (PayoutStatus::Failed, then) => then == PayoutStatus::Completed,
        (now, then) => now != then || (tx_hash.is_some() && payout.tx_hash != tx_hash),
    };
    if !news {
        return Ok(());
    }
    if payout.status == PayoutStatus::Failed {
        tracing::error!(payout = %id, "a payout that was held to have failed is through");
    }
    let reason = (status == PayoutStatus::Failed).then(|| "the provider says so".to_owned());
    advance(tx, notifications, payout, status, tx_hash, reason).await.map(drop)
}

async fn advance(
    tx: &mut Tx<'_>,
    notifications: &NotificationService,
    mut payout: Payout,
    status: PayoutStatus,
    tx_hash: Option<String>,
    reason: Option<String>,
) -> Result<Payout> {
    let changed = payout.status != status;
    payout.status = status;
    payout.tx_hash = tx_hash.or(payout.tx_hash);
    payout.reason = reason;
    payout.updated_at = tx.now();
    payouts::set_status(tx, &payout).await?;
    if changed {
        tx.announce(announcements::payout_updated(&payout));
    }
    if changed && status == PayoutStatus::Completed {
        tx.announce(announcements::payout_completed(&payout));
        notifications.notify_of(tx, vec![happenings::payout_completed(&payout)]).await?;
    }
    Ok(payout)
}

impl From<PayoutProgress> for PayoutStatus {
    fn from(progress: PayoutProgress) -> Self {
        match progress {
            PayoutProgress::InProgress => Self::Processing,
            PayoutProgress::Success => Self::Completed,
            PayoutProgress::Fail => Self::Failed,
        }
    }
}
