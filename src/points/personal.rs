//! What points keep of people: what they earned, who referred them and whom they referred. Erased, their
//! referrer keeps the points.

use futures_util::FutureExt;
use serde_json::{Map, Value};

use super::store;
use crate::{
    db::Tx,
    id::Id,
    personal::{Cursor, Gone, Lines, PersonalData, ROWS, Step},
};

/// This room's part.
pub struct Personal;

impl PersonalData for Personal {
    fn export<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        user: &'a Id,
        from: &'a Cursor,
        lines: &'a mut Lines,
    ) -> Step<'a> {
        async move {
            match from.table {
                0 => {
                    let before = from.key()?.unwrap_or(i64::MAX);
                    let ledger = store::ledger(tx, user, before, ROWS).await?;
                    ledger.iter().try_for_each(|(_, entry)| lines.add("points", entry))?;
                    Ok(from.behind(&ledger, |(ordinal, _)| ordinal.to_string()))
                }
                1 => {
                    let own = store::referral(tx, user).await?;
                    own.iter().try_for_each(|referral| lines.add("referral", referral))?;
                    Ok(from.without(0))
                }
                2 => {
                    let others = store::referred_by(tx, user, &from.after, ROWS).await?;
                    from.tell(lines, "referral", &others, |referral| &referral.referred_user_id)
                }
                _ => Ok(None),
            }
        }
        .boxed_local()
    }

    fn erase<'a>(&'a self, tx: &'a mut Tx<'_>, user: &'a Id, from: &'a Cursor) -> Step<'a> {
        async move {
            match from.table {
                0 => Ok(from.without(store::erase_ledger(tx, user, ROWS).await?)),
                1 => Ok(from.without(store::erase_referrals(tx, user, ROWS).await?)),
                _ => Ok(None),
            }
        }
        .boxed_local()
    }

    /// The name under which a referrer heard of them, and what they earned points for.
    fn redact(&self, object: &mut Map<String, Value>, gone: &Gone) -> bool {
        let is = |who: &str| gone.has(object.get(who));
        let words: &[(&str, Value)] = if is("referredUserId") && !object.contains_key("balance") {
            &[("name", "".into())]
        } else if is("userId") && object.contains_key("balance") {
            &[("reason", "".into()), ("reference", Value::Null)]
        } else {
            &[]
        };
        let mut changed = false;
        for (word, nothing) in words {
            if let Some(said) = object.get_mut(*word).filter(|said| *said != nothing) {
                said.clone_from(nothing);
                changed = true;
            }
        }
        changed
    }
}
