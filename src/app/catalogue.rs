//! The wire contract: the events of every room, in one catalogue.

use crate::{
    access, chat, marketplace, notifications, payments, points, presence,
    realtime::{self, catalogue::Catalogue},
};

/// Every event that this server sends or hears.
///
/// # Panics
/// When the rooms' declarations contradict each other; the tests here would have told.
#[must_use]
#[expect(clippy::expect_used, reason = "the rooms' declarations are constants, and tested")]
pub fn events() -> Catalogue {
    Catalogue::new(&[
        realtime::events::EVENTS,
        access::events::EVENTS,
        presence::events::conversation::EVENTS,
        presence::events::marketplace::EVENTS,
        chat::events::conversation::EVENTS,
        chat::events::marketplace::EVENTS,
        marketplace::events::EVENTS,
        payments::events::EVENTS,
        notifications::events::EVENTS,
        points::events::EVENTS,
    ])
    .expect("the rooms agree on their events")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::events;
    use crate::event::Namespace;

    /// Whoever changes what clients see finds it here: names, who hears them, and every field.
    #[test]
    fn the_wire_contract_is_what_it_was() {
        insta::assert_json_snapshot!("wire_contract", events());
    }

    #[test]
    fn each_dialect_has_its_own_name_for_what_both_tell() {
        let events = events();
        for (conversation, marketplace) in [
            ("message:new", "new-message"),
            ("message:edited", "message-edited"),
            ("message:deleted", "message-deleted"),
            ("message:read", "messages-read"),
            ("user:online", "user-status-change"),
            ("typing:start", "user-typing"),
        ] {
            let namespaces = |name| events.sent(name).map(|event| event.dialect.namespaces());
            let paths = |name| namespaces(name).unwrap().iter().map(Namespace::path).collect();
            let (one, other): (Vec<_>, Vec<_>) = (paths(conversation), paths(marketplace));
            assert_eq!((one, other), (vec!["/", "/chat"], vec!["/", "/marketplace"]));
        }
    }

    #[test]
    fn every_reference_in_the_asyncapi_document_leads_somewhere() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            if let Value::Array(items) = value {
                for item in items {
                    references(item, found);
                }
            }
            for (name, field) in value.as_object().into_iter().flatten() {
                match field.as_str().filter(|_| name == "$ref") {
                    Some(to) => found.push(to),
                    None => references(field, found),
                }
            }
        }
        let document = events().asyncapi();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100);
        for to in found {
            assert!(document.pointer(to.trim_start_matches('#')).is_some(), "{to}");
        }
    }
}
