//! Who may know of a request or a checkout, from what is stored: the same for REST and for rooms
//! (docs/contract/events.md#who-may-enter-a-room).

use super::{
    documents::{PurchaseRequest, RequestStatus},
    store::{checkouts, offers, requests},
};
use crate::{
    access::Membership,
    auth::{Identity, Role},
    db::Tx,
    error::{Code, Error, Result},
    id::Id,
    room::Room,
};

/// Someone's membership of a room of the marketplace.
///
/// # Errors
/// The store's.
pub async fn membership(tx: &mut Tx<'_>, identity: &Identity, room: &Room) -> Result<Membership> {
    let member = match room {
        // Whatever is found, the same is asked, so that a refusal takes the same time for all.
        Room::Request(id) => {
            let offers = offers::has_offer(tx, id, &identity.user_id).await?;
            let found = requests::find(tx, id).await?;
            found.map(|row| offers || is_party(identity, &row.document))
        }
        Room::Checkout(id) => {
            let sells = checkouts::sellers(tx, id).await?.contains(&identity.user_id);
            let found = checkouts::find(tx, id).await?;
            found.map(|checkout| sells || checkout.buyer_id == identity.user_id)
        }
        _ => None,
    };
    Ok(match member {
        None => Membership::Unknown,
        Some(true) => Membership::Member,
        Some(false) => Membership::Stranger,
    })
}

/// Whether someone takes part in a request: its buyer, its seller, a seller with an offer on it, any
/// seller while it is open.
pub(super) async fn may_see(
    tx: &mut Tx<'_>,
    identity: &Identity,
    request: &PurchaseRequest,
) -> Result<bool> {
    if is_party(identity, request) {
        return Ok(true);
    }
    offers::has_offer(tx, &request.id, &identity.user_id).await
}

/// The same without a look at the offers.
fn is_party(identity: &Identity, request: &PurchaseRequest) -> bool {
    let user = &identity.user_id;
    let open = request.status == RequestStatus::Open && identity.trades_as(Role::Seller);
    request.buyer_id == *user || request.seller_id.as_ref() == Some(user) || open
}

/// There is no such request, for who may not know of it either.
pub(super) fn no_request() -> Error {
    Error::new(Code::NotFound, "There is no such request.")
}

/// There is no such offer, for who may not know of it either.
pub(super) fn no_offer() -> Error {
    Error::new(Code::NotFound, "There is no such offer.")
}

/// There is no such checkout, for who may not know of it either.
pub(super) fn no_checkout() -> Error {
    Error::new(Code::NotFound, "There is no such checkout.")
}

/// Refuses who does not trade in this way.
///
/// # Errors
/// [`Code::Forbidden`].
pub(super) fn ensure_trades_as(identity: &Identity, role: Role) -> Result<()> {
    if identity.trades_as(role) {
        return Ok(());
    }
    Err(Error::needs(&format!("the role {}, or none at all", role.as_str())))
}

/// Refuses who is not the one in question, in words for them.
///
/// # Errors
/// [`Code::Forbidden`].
pub(super) fn ensure_is(identity: &Identity, user: Option<&Id>, who: &str) -> Result<()> {
    if user == Some(&identity.user_id) { Ok(()) } else { Err(Error::needs(who)) }
}
