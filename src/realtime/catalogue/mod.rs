//! The catalogue of the wire contract: every event that rooms declare, by name, and the documents
//! made from it.

mod asyncapi;
mod invalid;
mod listing;
mod page;
mod sample;
mod schemas;
mod typescript;

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use utoipa::openapi::{RefOr, schema::Schema};

pub use self::{invalid::InvalidCatalogue, schemas::REFUSAL};
use crate::event::{Dialect, Direction, EventName, EventType, Twin};

/// Every event that the server sends or hears, in the order of their declaration.
#[derive(Clone)]
pub struct Catalogue {
    sent: IndexMap<&'static str, EventType>,
    heard: IndexMap<&'static str, EventType>,
    schemas: BTreeMap<String, RefOr<Schema>>,
}

impl Catalogue {
    /// The catalogue of these lists of events.
    ///
    /// # Errors
    /// [`InvalidCatalogue`] when a name is taken or may not be sent, two types share a name, or an
    /// event has no twin though it says so.
    pub fn new(rooms: &[&[EventType]]) -> Result<Self, InvalidCatalogue> {
        let (mut sent, mut heard) = (IndexMap::new(), IndexMap::new());
        for event in rooms.iter().copied().flatten() {
            EventName::new(event.name).map_err(|why| InvalidCatalogue::Name(event.name, why))?;
            let events = match event.direction {
                Direction::ServerToClient => &mut sent,
                Direction::ClientToServer => &mut heard,
            };
            if events.insert(event.name, *event).is_some() {
                return Err(InvalidCatalogue::Duplicate(event.name));
            }
        }
        for events in [&sent, &heard] {
            check_twins(events)?;
        }
        let schemas = schemas::collect(sent.values().chain(heard.values()))?;
        Ok(Self { sent, heard, schemas })
    }

    /// The event that the server sends under this name.
    #[must_use]
    pub fn sent(&self, name: &str) -> Option<&EventType> {
        self.sent.get(name)
    }

    /// The event that clients send under this name.
    #[must_use]
    pub fn heard(&self, name: &str) -> Option<&EventType> {
        self.heard.get(name)
    }

    /// Every event: first what the server sends, then what clients send.
    pub fn iter(&self) -> impl Iterator<Item = &EventType> {
        self.sent.values().chain(self.heard.values())
    }

    /// The schema of every type that is sent, by name. A field that may be left out is never null.
    #[must_use]
    pub fn schemas(&self) -> &BTreeMap<String, RefOr<Schema>> {
        &self.schemas
    }
}

/// Each event that another names as its twin is declared as one, in the other dialect and kept if
/// that is; and each that is declared as one is named.
fn check_twins(events: &IndexMap<&'static str, EventType>) -> Result<(), InvalidCatalogue> {
    let mut named = BTreeSet::new();
    for event in events.values() {
        let Twin::Is(twin) = event.twin else { continue };
        let of_other = (Dialect::Conversation, Dialect::Marketplace);
        let is_twin = |twin: &&EventType| {
            (event.dialect, twin.dialect) == of_other
                && matches!(twin.twin, Twin::Named)
                && twin.kept == event.kept
        };
        let twin = events.get(twin().name).filter(is_twin);
        named.insert(twin.ok_or(InvalidCatalogue::Twin(event.name))?.name);
    }
    let forgotten = events
        .values()
        .find(|event| matches!(event.twin, Twin::Named) && !named.contains(event.name));
    forgotten.map_or(Ok(()), |event| Err(InvalidCatalogue::Twin(event.name)))
}

#[cfg(test)]
mod tests {
    use utoipa::{PartialSchema, ToSchema};

    use super::*;
    use crate::{
        event::{InvalidEventName, Shape},
        id::Id,
        realtime::events::{AUTH_EXPIRING, Done, REFRESH_AUTH},
    };

    fn event(name: &'static str, direction: Direction, payload: Shape) -> EventType {
        EventType {
            name,
            dialect: Dialect::Both,
            direction,
            to: "everyone",
            doc: " Something",
            kept: false,
            payload,
            ack: None,
            twin: Twin::None,
        }
    }

    fn error(events: &[EventType]) -> Option<InvalidCatalogue> {
        Catalogue::new(&[events]).err()
    }

    #[test]
    fn an_event_is_found_by_its_name_and_who_says_it() {
        let catalogue = Catalogue::new(&[&[AUTH_EXPIRING], &[REFRESH_AUTH.event()]]).unwrap();
        assert_eq!(catalogue.sent("auth:expiring").unwrap().dialect, Dialect::Both);
        assert!(catalogue.heard("auth:refresh").unwrap().ack.is_some());
        assert!(catalogue.heard("auth:expiring").is_none());
        assert!(catalogue.sent("auth:refresh").is_none());
        assert_eq!(catalogue.iter().count(), 2);
    }

    #[test]
    fn a_name_stands_for_one_event_in_each_direction() {
        use Direction::{ClientToServer, ServerToClient};
        let id = Shape::of::<Id>();
        let said = event("typing", ServerToClient, id);
        assert_eq!(error(&[said, event("typing", ClientToServer, id)]), None);
        assert_eq!(error(&[said, said]), Some(InvalidCatalogue::Duplicate("typing")));
    }

    #[test]
    fn a_twin_is_one_that_says_the_same_in_the_other_dialect() {
        const fn said(name: &'static str, dialect: Dialect, twin: Twin) -> EventType {
            EventType { name, dialect, twin, ..AUTH_EXPIRING }
        }
        const PINNED: EventType = said("pinned", Dialect::Marketplace, Twin::Named);
        let told = |name, dialect| said(name, dialect, Twin::Is(|| PINNED));
        let pinned = told("message:pinned", Dialect::Conversation);
        assert_eq!(error(&[pinned, PINNED]), None);
        let both = told("message:gone", Dialect::Conversation);
        assert_eq!(error(&[pinned, both, PINNED]), None, "one may say what two do");

        let forgotten = |name| Some(InvalidCatalogue::Twin(name));
        assert_eq!(error(&[PINNED]), forgotten("pinned"), "nobody names it");
        assert_eq!(error(&[pinned]), forgotten("message:pinned"), "it is not declared");
        let kept = EventType { kept: true, ..pinned };
        assert_eq!(error(&[kept, PINNED]), forgotten("message:pinned"), "it would be missed");
        let none = EventType { twin: Twin::None, ..PINNED };
        assert_eq!(error(&[pinned, none]), forgotten("message:pinned"), "it says that it is none");
        let same = told("message:pinned", Dialect::Marketplace);
        assert_eq!(error(&[same, PINNED]), forgotten("message:pinned"), "the dialect is the same");
    }

    #[test]
    fn a_name_that_may_not_be_sent_is_refused() {
        let named = |name| error(&[event(name, Direction::ServerToClient, Shape::of::<Id>())]);
        for (name, why) in
            [("disconnect", InvalidEventName::Reserved), ("a\n", InvalidEventName::Malformed)]
        {
            assert_eq!(named(name), Some(InvalidCatalogue::Name(name, why)));
        }
    }

    #[test]
    fn two_types_of_one_name_are_refused() {
        struct Impostor;
        impl PartialSchema for Impostor {
            fn schema() -> RefOr<Schema> {
                String::schema()
            }
        }
        impl ToSchema for Impostor {
            fn name() -> std::borrow::Cow<'static, str> {
                Done::name()
            }
        }
        let done = event("done", Direction::ServerToClient, Shape::of::<Done>());
        let other = event("other", Direction::ServerToClient, Shape::of::<Impostor>());
        assert_eq!(error(&[done, other]), Some(InvalidCatalogue::AmbiguousType("Done".into())));
    }
}
