//! What kept events show of messages, told again as the messages are by then: whoever hears such an event
//! again does not hear what was taken back (docs/contract/events.md#missed-events).

use std::collections::HashMap;

use futures_util::{FutureExt, future::LocalBoxFuture};

use super::{announcements::Shown, store::moved::messages_among};
use crate::{
    db::{Retell, Source, Tx},
    error::{Error, Result},
    id::Id,
    stream::{DomainEvent, WireEvent},
};

/// This room's part.
pub struct Retold;

impl Retell for Retold {
    fn retell<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        sources: &'a [Source],
    ) -> LocalBoxFuture<'a, Result<Vec<Vec<WireEvent>>>> {
        async move {
            let shown = sources.iter().map(|source| source.name.parse::<Shown>());
            let shown = shown.collect::<Result<Vec<_>, _>>().map_err(Error::internal)?;
            let rows = messages_among(tx, shown.iter().map(Shown::message)).await?;
            let messages: HashMap<Id, _> =
                rows.into_iter().map(|row| (row.document.id.clone(), row.document)).collect();
            let told = sources.iter().zip(&shown).map(|(source, shown)| {
                let told = shown.told(messages.get(shown.message())?, source.created_at)?;
                Some(told.render(source.seq))
            });
            Ok(told.map(Option::unwrap_or_default).collect())
        }
        .boxed_local()
    }
}
