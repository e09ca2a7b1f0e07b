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
    use std::fmt::Write;

    use serde_json::Value;

    use super::events;
    use crate::event::{EventType, Namespace, Twin};

    /// Whoever changes what clients see finds it here: names, who hears them, and every field.
    #[test]
    fn the_wire_contract_is_what_it_was() {
        insta::assert_json_snapshot!("wire_contract", events());
    }

    #[test]
    fn each_dialect_has_its_own_name_for_what_both_tell() {
        let mut twins = String::new();
        for event in events().iter() {
            let Twin::Is(twin) = event.twin else { continue };
            let twin = twin();
            let paths = |of: EventType| -> Vec<_> {
                of.dialect.namespaces().iter().map(Namespace::path).collect()
            };
            assert_eq!(
                (paths(*event), paths(twin)),
                (vec!["/", "/chat"], vec!["/", "/marketplace"])
            );
            let _ = writeln!(twins, "{} {}", event.name, twin.name);
        }
        insta::assert_snapshot!(twins, @r"
        user:online user-status-change
        user:offline user-status-change
        message:new new-message
        message:edited message-edited
        message:deleted message-deleted
        message:read messages-read
        conversation:participant:added participants-added
        conversation:participant:removed participant-removed
        typing:start user-typing
        typing:stop user-typing
        conversation:join join-chat-room
        conversation:leave leave-chat-room
        typing:start typing-start
        typing:stop typing-stop
        ");
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
