//! Who belongs in the rooms of a conversation, from what is stored
//! (docs/contract/events.md#who-may-enter-a-room).

use super::store;
use crate::{
    access::Membership,
    db::{Db, Tx},
    error::Result,
    id::Id,
};

/// The membership of each user of a conversation.
///
/// # Errors
/// The store's.
pub async fn memberships(tx: &mut Tx<'_>, asked: &[(&Id, &Id)]) -> Result<Vec<Membership>> {
    let known = store::take_part(tx, asked).await?;
    let membership = |(conversation, user): &(&Id, &Id)| match known
        .get(&((*conversation).clone(), (*user).clone()))
    {
        None => Membership::Unknown,
        Some(true) => Membership::Member,
        Some(false) => Membership::Stranger,
    };
    Ok(asked.iter().map(membership).collect())
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
