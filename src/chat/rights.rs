//! Who belongs in the rooms of a conversation, from what is stored
//! (docs/contract/events.md#who-may-enter-a-room).

use super::store;
use crate::{
    access::Membership,
    db::{Db, Tx},
    error::Result,
    id::Id,
};

/// Someone's membership of a conversation.
///
/// # Errors
/// [`Code::Unavailable`](crate::error::Code::Unavailable) while the store is away.
pub async fn membership(db: &Db, user: &Id, conversation: &Id) -> Result<Membership> {
    let (user, conversation) = (user.clone(), conversation.clone());
    let unit = async move |tx: &mut Tx<'_>| {
        if store::find(tx, &conversation).await?.is_none() {
            return Ok(Membership::Unknown);
        }
        let member = store::member(tx, &conversation, &user).await?;
        Ok(if member.is_some() { Membership::Member } else { Membership::Stranger })
    };
    db.read(unit).await
}

/// The number of the last event of a conversation that is not a user's to hear again: they came in
/// after it. 0 for who was there from the start, or does not take part.
///
/// # Errors
/// [`Code::Unavailable`](crate::error::Code::Unavailable) while the store is away.
pub async fn heard_after(db: &Db, user: &Id, conversation: &Id) -> Result<i64> {
    let (user, conversation) = (user.clone(), conversation.clone());
    let unit = async move |tx: &mut Tx<'_>| {
        let member = store::member(tx, &conversation, &user).await?;
        Ok(member.map_or(0, |member| member.joined_seq))
    };
    db.read(unit).await
}
