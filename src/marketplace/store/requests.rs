//! Purchase requests, in the table `purchase_requests`.

use crate::{
    clock::Timestamp,
    db::{Row, Tx},
    error::{Error, Result},
    id::Id,
    marketplace::documents::{Delivery, PurchaseRequest, RequestStatus},
    money::Money,
    params,
};

const FIND: &str = "SELECT * FROM purchase_requests WHERE id = $1";

/// A request with what clients do not see of it.
pub(in crate::marketplace) struct RequestRow {
    pub(in crate::marketplace) document: PurchaseRequest,
    /// What was paid, once it is.
    pub(in crate::marketplace) paid: Option<Money>,
    /// The hash of the delivery code, once there is one.
    pub(in crate::marketplace) code_hash: Option<Vec<u8>>,
    /// How often the buyer may still try it.
    pub(in crate::marketplace) code_tries: u32,
}

/// Adds a request.
pub(in crate::marketplace) async fn insert(tx: &mut Tx<'_>, row: &RequestRow) -> Result<()> {
    const INSERT: &str = "
        INSERT INTO purchase_requests
            (id, buyer_id, title, description, budget_amount, budget_currency, category, metadata,
             status, accepted_offer_id, seller_id, payment_id, paid_amount, paid_currency,
             cancel_reason, delivery_status, carrier, tracking_number, code_hash, code_tries,
             delivered_at, buyer_confirmed_at, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
            $19, $20, $21, $22, $23, $24)";
    let RequestRow { document: request, paid, code_hash, code_tries } = row;
    let delivery = request.delivery.clone().unwrap_or_default();
    let row = params![
        &request.id,
        &request.buyer_id,
        &request.title,
        &request.description,
        request.budget.amount,
        &request.budget.currency,
        request.category.as_ref(),
        request.metadata.to_string(),
        request.status.as_str(),
        request.accepted_offer_id.as_ref(),
        request.seller_id.as_ref(),
        request.payment_id.as_ref(),
        paid.as_ref().map(|paid| paid.amount),
        paid.as_ref().map(|paid| &paid.currency),
        request.cancel_reason.as_ref(),
        delivery.status,
        delivery.carrier,
        delivery.tracking_number,
        code_hash.as_deref(),
        *code_tries,
        delivery.delivered_at,
        delivery.buyer_confirmed_at,
        request.created_at,
        request.updated_at,
    ];
    tx.execute(INSERT, &row).await?;
    Ok(())
}

/// A request.
pub(in crate::marketplace) async fn find(tx: &mut Tx<'_>, id: &Id) -> Result<Option<RequestRow>> {
    tx.optional(FIND, &params![id]).await?.as_ref().map(row).transpose()
}

/// A request, locked until the end of the unit: what is read after this stays true.
pub(in crate::marketplace) async fn find_for_update(
    tx: &mut Tx<'_>,
    id: &Id,
) -> Result<Option<RequestRow>> {
    tx.lock_row(FIND, &params![id]).await?.as_ref().map(row).transpose()
}

/// Changes what the buyer said.
pub(in crate::marketplace) async fn set_details(
    tx: &mut Tx<'_>,
    request: &PurchaseRequest,
) -> Result<()> {
    const DETAILS: &str = "
        UPDATE purchase_requests SET title = $2, description = $3, budget_amount = $4,
            budget_currency = $5, category = $6, metadata = $7, updated_at = $8
        WHERE id = $1";
    let row = params![
        &request.id,
        &request.title,
        &request.description,
        request.budget.amount,
        &request.budget.currency,
        request.category.clone(),
        request.metadata.to_string(),
        request.updated_at,
    ];
    tx.execute(DETAILS, &row).await?;
    Ok(())
}

/// Notes how far a request is, with the offer that was accepted, why it was called off, and when
/// it was delivered.
pub(in crate::marketplace) async fn set_status(
    tx: &mut Tx<'_>,
    request: &PurchaseRequest,
) -> Result<()> {
    const STATUS: &str = "
        UPDATE purchase_requests SET status = $2, accepted_offer_id = $3, seller_id = $4,
            cancel_reason = $5, delivered_at = $6, updated_at = $7
        WHERE id = $1";
    let delivered_at = request.delivery.as_ref().and_then(|delivery| delivery.delivered_at);
    let row = params![
        &request.id,
        request.status.as_str(),
        request.accepted_offer_id.clone(),
        request.seller_id.clone(),
        request.cancel_reason.clone(),
        delivered_at,
        request.updated_at,
    ];
    tx.execute(STATUS, &row).await?;
    Ok(())
}

/// Notes what was paid.
pub(in crate::marketplace) async fn set_paid(
    tx: &mut Tx<'_>,
    request: &Id,
    payment: &Id,
    paid: &Money,
) -> Result<()> {
    const PAID: &str = "
        UPDATE purchase_requests SET payment_id = $2, paid_amount = $3, paid_currency = $4
        WHERE id = $1";
    tx.execute(PAID, &params![request, payment, paid.amount, &paid.currency]).await?;
    Ok(())
}

/// Notes where the goods are.
pub(in crate::marketplace) async fn set_delivery(
    tx: &mut Tx<'_>,
    request: &PurchaseRequest,
) -> Result<()> {
    const DELIVERY: &str = "
        UPDATE purchase_requests SET delivery_status = $2, carrier = $3, tracking_number = $4,
            buyer_confirmed_at = $5, updated_at = $6
        WHERE id = $1";
    let delivery = request.delivery.clone().unwrap_or_default();
    let row = params![
        &request.id,
        delivery.status,
        delivery.carrier,
        delivery.tracking_number,
        delivery.buyer_confirmed_at,
        request.updated_at,
    ];
    tx.execute(DELIVERY, &row).await?;
    Ok(())
}

/// Keeps the hash of a delivery code, and how often it may be tried.
pub(in crate::marketplace) async fn set_code(
    tx: &mut Tx<'_>,
    request: &Id,
    hash: Vec<u8>,
    tries: u32,
) -> Result<()> {
    const CODE: &str = "
        UPDATE purchase_requests SET code_hash = $2, code_tries = $3, updated_at = $4
        WHERE id = $1";
    tx.execute(CODE, &params![request, hash, tries, tx.now()]).await?;
    Ok(())
}

/// Takes one try.
pub(in crate::marketplace) async fn take_try(tx: &mut Tx<'_>, request: &Id) -> Result<()> {
    const TRY: &str = "UPDATE purchase_requests SET code_tries = code_tries - 1 WHERE id = $1";
    tx.execute(TRY, &params![request]).await?;
    Ok(())
}

/// A status as it is stored.
pub(in crate::marketplace) fn status(text: &str) -> Result<RequestStatus> {
    use RequestStatus::{Accepted, Cancelled, Completed, Delivered, Open, Paid, Shipped};

    [Open, Accepted, Paid, Shipped, Delivered, Completed, Cancelled]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| Error::internal(format!("the status {text} of a request")))
}

pub(super) fn row(row: &Row) -> Result<RequestRow> {
    let id: Id = row.get("id")?;
    let metadata: String = row.get("metadata")?;
    let code_hash: Option<Vec<u8>> = row.get("code_hash")?;
    let delivery = Delivery {
        status: row.get("delivery_status")?,
        carrier: row.get("carrier")?,
        tracking_number: row.get("tracking_number")?,
        has_code: code_hash.is_some(),
        delivered_at: row.get("delivered_at")?,
        buyer_confirmed_at: row.get("buyer_confirmed_at")?,
    };
    let document = PurchaseRequest {
        underscore_id: id.clone(),
        id,
        buyer_id: row.get("buyer_id")?,
        title: row.get("title")?,
        description: row.get("description")?,
        budget: Money { amount: row.get("budget_amount")?, currency: row.get("budget_currency")? },
        category: row.get("category")?,
        metadata: serde_json::from_str(&metadata).map_err(Error::internal)?,
        status: status(&row.get::<String>("status")?)?,
        accepted_offer_id: row.get("accepted_offer_id")?,
        seller_id: row.get("seller_id")?,
        payment_id: row.get("payment_id")?,
        cancel_reason: row.get("cancel_reason")?,
        delivery: Some(delivery).filter(|delivery| *delivery != Delivery::default()),
        created_at: row.get::<Timestamp>("created_at")?,
        updated_at: row.get::<Timestamp>("updated_at")?,
    };
    let paid = match (row.get("paid_amount")?, row.get("paid_currency")?) {
        (Some(amount), Some(currency)) => Some(Money { amount, currency }),
        _ => None,
    };
    Ok(RequestRow { document, paid, code_hash, code_tries: row.get("code_tries")? })
}
