//! Who shares a request with whom, for those who are told that somebody came or went. That anyone who
//! sells may see what is open makes nobody a contact.

use std::collections::HashSet;

use super::store::{checkouts, contacts, offers, requests};
use crate::{
    db::{Db, Tx},
    error::Result,
    id::Id,
    presence::{Circle, Search},
    room::Room,
};

/// Users whose contacts are asked for at once.
const USERS_AT_ONCE: usize = 128;

/// Contacts in an answer, at most.
const ROWS: usize = 2000;

/// Finds everyone who shares a request with a search's users: many of them at once, else one, a page
/// at a time.
///
/// # Errors
/// [`Code::Unavailable`](crate::error::Code::Unavailable) while the store is away.
pub async fn find_contacts(db: &Db, search: &mut Search<'_>) -> Result<()> {
    let users: Vec<Id> = search.users().cloned().collect();
    for some in users.chunks(USERS_AT_ONCE) {
        let pairs = ask(db, some, None).await?;
        if pairs.len() < ROWS {
            meet(search, &pairs);
            continue;
        }
        for user in some {
            let mut after = None;
            loop {
                let pairs = ask(db, std::slice::from_ref(user), after).await?;
                meet(search, &pairs);
                if pairs.len() < ROWS {
                    break;
                }
                after = pairs.into_iter().next_back().map(|(_, contact)| contact);
            }
        }
    }
    Ok(())
}

/// Which of these share a request with a user.
///
/// # Errors
/// As [`find_contacts`].
pub async fn contacts_among(db: &Db, user: &Id, others: &[Id]) -> Result<HashSet<Id>> {
    let (user, others) = (user.clone(), others.to_vec());
    db.read(async move |tx: &mut Tx<'_>| contacts::shared(tx, &user, &others).await).await
}

/// Who takes part in a request or a checkout: its buyer, its sellers, and of those who have an offer on
/// it that waits or was accepted so many.
///
/// # Errors
/// As [`find_contacts`].
pub async fn parties(tx: &mut Tx<'_>, room: &Room, most: i64) -> Result<Vec<Id>> {
    match room {
        Room::Request(id) => {
            let Some(request) = requests::find(tx, id).await? else { return Ok(Vec::new()) };
            let request = request.document;
            let mut parties = offers::sellers(tx, id, most).await?;
            parties.extend([request.buyer_id].into_iter().chain(request.seller_id));
            Ok(parties)
        }
        Room::Checkout(id) => {
            let Some(checkout) = checkouts::find(tx, id).await? else { return Ok(Vec::new()) };
            let mut parties = checkouts::sellers(tx, id).await?;
            parties.push(checkout.buyer_id);
            Ok(parties)
        }
        _ => Ok(Vec::new()),
    }
}

async fn ask(db: &Db, users: &[Id], after: Option<Id>) -> Result<Vec<(Id, Id)>> {
    let users = users.to_vec();
    let limit = i64::try_from(ROWS).unwrap_or(i64::MAX);
    let unit =
        async move |tx: &mut Tx<'_>| contacts::contacts(tx, &users, after.as_ref(), limit).await;
    db.read(unit).await
}

fn meet(search: &mut Search<'_>, pairs: &[(Id, Id)]) {
    for (user, contact) in pairs {
        let mut circle = Circle::default();
        search.add(&mut circle, user);
        search.meet(contact, &circle);
    }
}
