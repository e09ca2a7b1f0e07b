//! What payments keep of people: what they paid and were paid. None of it is erased: it names nobody but
//! by their id, and money needs it.

use futures_util::{FutureExt, future::LocalBoxFuture};

use super::store::{payments, payouts};
use crate::{
    db::Tx,
    error::Result,
    id::Id,
    personal::{Lines, PersonalData, Place, ROWS},
};

/// This room's part.
pub struct Personal;

impl PersonalData for Personal {
    fn export<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        user: &'a Id,
        from: &'a Place,
        lines: &'a mut Lines,
    ) -> LocalBoxFuture<'a, Result<Option<Place>>> {
        async move {
            match from.table {
                0 => {
                    let before: Option<Id> = from.key()?;
                    let paid = payments::list(tx, Some(user), None, before.as_ref(), ROWS).await?;
                    paid.iter().try_for_each(|payment| lines.add("payment", payment))?;
                    Ok(from.behind(&paid, |payment| payment.id.to_string()))
                }
                1 => {
                    let payouts = payouts::of_seller(tx, user, &from.after, ROWS).await?;
                    payouts.iter().try_for_each(|payout| lines.add("payout", payout))?;
                    Ok(from.behind(&payouts, |payout| payout.id.to_string()))
                }
                _ => Ok(None),
            }
        }
        .boxed_local()
    }
}
