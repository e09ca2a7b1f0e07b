//! Whose names are kept when they act.

use super::{
    names::{KnownNames, Names},
    store,
};
use crate::{auth::Identity, clock::Timestamp, db::Tx, error::Result, id::Id};

/// What is known of a user's names.
///
/// # Errors
/// The store's.
pub async fn known(tx: &mut Tx<'_>, user: &Id) -> Result<Option<KnownNames>> {
    let profile = store::profiles::find(tx, user).await?;
    profile.as_ref().map_or(Ok(None), KnownNames::from_row)
}

/// The names of someone who acts, in the unit in which they do. Those of their token are kept when they
/// are new.
///
/// # Errors
/// The store's.
pub async fn acting(
    tx: &mut Tx<'_>,
    identity: &Identity,
    known: Option<KnownNames>,
) -> Result<Names> {
    // A token that does not say when it was issued is as new as what nobody knows the time of.
    let told_at = identity.issued_after.max(Timestamp::from_millis(0));
    let (known, named_at) = known.map(|known| (known.names, known.named_at)).unzip();
    let known = known.unwrap_or_default();
    let told = Names::of(identity).over(&known);
    if told == known || named_at.is_some_and(|named_at| told_at < named_at) {
        return Ok(known);
    }
    store::profiles::note(tx, &identity.user_id, &told, told_at).await?;
    Ok(told)
}
