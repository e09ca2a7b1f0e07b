//! Did somebody hear an event? Told of every event that is kept, for its retention
//! (docs/contract/rest.md#operations).
//!
//! # What is noted, when, and what it costs
//!
//! No row is written for a delivery: a broadcast to ten thousand sockets would write ten thousand. Noted is
//! who was where, by [recovery](super::recovery), which writes it beside the way of events anyway, in groups:
//!
//! | fact | where | when |
//! |---|---|---|
//! | a connection: user, namespace, from, to, why it ended | `sessions`, then `past_connections` | begins and ends with it; moved when nobody comes back any more |
//! | a stay in a room: from, to, why it was left | `session_rooms`, then `past_rooms` | joins and leaves; moved when it is over |
//! | with which offset somebody came back, and what was sent then | `heard`, `restored` of their connection | when they do |
//! | which numbers somebody fetched by `since` | `past_replays` | when there were some |
//!
//! What goes on is the row that recovery has anyway; one more is written when it is over. Nothing is kept in
//! memory, nothing is done for an event, and all of it goes with the events of its time.
//!
//! # How the verdict is made
//!
//! Every `from` and `to` is how far events had been handed to sockets by then, so an event's position says
//! whether it went out during a stay. What the client shows when it comes back is the only proof that it
//! has heard; without it *written* is what is known, and the words say so. An event that is sent in the same
//! moment in which a room is entered or left may be told of as if it were on the other side of that.
//!
//! What can't be known is said: an event from before this was noted, or from a time of which not all could
//! be, since the store was away.

mod documents;
mod http;
mod store;
mod verdict;

use std::sync::Arc;

pub(super) use self::http::routes;
use self::{
    documents::{Outcome, Why},
    store::EventRef,
    verdict::Addressed,
};
use super::{
    Realtime,
    emitter::{at_home, heard_by},
};
use crate::{
    auth::Identity,
    db::Tx,
    error::{Code, Error, Result},
    id::Id,
    room::Room,
    stream::{Target, WireEvent},
};

/// Rooms of an event of which is asked whether somebody may enter them.
const MOST_ASKED: usize = 5;

impl Realtime {
    /// Whether a user heard an event, and why or why not.
    ///
    /// # Errors
    /// [`Code::NotFound`] when it is not kept, in words that say why; the store's.
    async fn why(&self, user: Id, event: EventRef) -> Result<Why> {
        let context = &self.lifecycle.context;
        let recovery = context.recovery.get();
        let recovery =
            recovery.ok_or_else(|| Error::new(Code::Unavailable, "The server is starting."))?;
        // What happened here until now is noted by then.
        recovery.kept().await?;
        let asked = user.clone();
        let (event, past) = recovery
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let event = store::find(tx, &event).await?;
                let past = match &event {
                    Some(event) => Some(store::past(tx, &asked, event.created_at).await?),
                    None => None,
                };
                Ok((event, past))
            })
            .await?;
        let (Some(event), Some(past)) = (event, past) else { return Err(not_kept()) };
        let addressed = event.wire_events.iter().map(|wire_event| self.addressed(wire_event));
        let addressed: Vec<_> = addressed.collect();
        let now = context.clock.now();
        let mut why = verdict::of(user.clone(), &event, &addressed, &past, now);
        if why.verdict == Outcome::Outside {
            self.tell_of_rights(&mut why, &user, &addressed).await;
        }
        Ok(why)
    }

    /// Who a wire event is for, as it is sent.
    fn addressed(&self, wire_event: &WireEvent) -> Addressed {
        let context = &self.lifecycle.context;
        let WireEvent { to, event, participants, except_user, namespace, .. } = wire_event;
        let to = heard_by(context.audience, to.clone(), participants);
        let (namespaces, _) = at_home(&context.catalogue, &to, event, *namespace);
        let (event, except_user) = (event.as_str().to_owned(), except_user.clone());
        Addressed { event, to, namespaces, except_user }
    }

    /// Who was in none of the rooms may have had no right to be.
    async fn tell_of_rights(&self, why: &mut Why, user: &Id, addressed: &[Addressed]) {
        let Some(rights) = self.lifecycle.rights.get() else { return };
        let identity =
            Arc::new(Identity::believed(user.clone(), self.lifecycle.context.clock.now()));
        let rooms = addressed.iter().flat_map(|it| match &it.to {
            Target::Rooms { rooms, .. } => rooms.as_slice(),
            Target::Everyone | Target::EveryoneBut { .. } => &[],
        });
        // Others are entered by the role of a token, which is not known here.
        let by_record = |room: &&Room| room.may_be_recorded() || matches!(room, Room::Other(_));
        let (mut asked, mut may) = (false, false);
        for room in rooms.filter(by_record).take(MOST_ASKED) {
            let Ok(may_enter) = rights.may_enter(&identity, room).await else { return };
            (asked, may) = (true, may || may_enter);
        }
        if asked {
            why.may_enter = Some(may);
            why.says.push_str(if may {
                " It might enter one of the rooms now, and had not joined then."
            } else {
                " By what is stored now it may enter none of the rooms."
            });
        }
    }
}

fn not_kept() -> Error {
    let words = "No such event is kept: it is older than the retention, was sent without being kept, or never was.";
    Error::new(Code::NotFound, words).with_reason("event_not_kept")
}
