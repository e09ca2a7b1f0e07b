//! What payments keep of people: what they paid and were paid. None of it is erased: it names nobody but
//! by their id, and money needs it.

use futures_util::FutureExt;

use super::store::{payments, payouts};
use crate::{
    db::Tx,
    id::Id,
    personal::{Cursor, Lines, PersonalData, ROWS, Step},
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
                    let before: Option<Id> = from.key()?;
                    let paid = payments::list(tx, Some(user), None, before.as_ref(), ROWS).await?;
                    from.tell(lines, "payment", &paid, |payment| &payment.id)
                }
                1 => {
                    let payouts = payouts::of_seller(tx, user, &from.after, ROWS).await?;
                    from.tell(lines, "payout", &payouts, |payout| &payout.id)
                }
                _ => Ok(None),
            }
        }
        .boxed_local()
    }
}
