//! A bundle: many small events for everyone, written as one. A thousand users who come online in
//! one moment cost each socket one write, not a thousand.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, OnceLock},
};

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use crate::{
    event::{Namespace, Namespaces},
    id::Id,
    metrics,
    realtime::frame::Outgoing,
};

/// One event of a bundle.
pub struct Part {
    /// The event.
    pub event: Arc<Outgoing>,
    /// Where it is heard.
    pub namespaces: Namespaces,
    /// The user who does not hear it.
    pub except: Option<Id>,
}

/// Events for everyone, each but for one user.
pub struct Bundle {
    parts: Vec<Part>,
    encoded: [OnceLock<Encoded>; 3],
}

/// The frames of a namespace, one after another.
struct Encoded {
    frames: Bytes,
    /// Where the frames are that a user does not hear, in ascending order.
    gaps: HashMap<Id, SmallVec<[Range<usize>; 1]>>,
}

impl Bundle {
    /// A bundle of events, in this order.
    #[must_use]
    pub fn new(parts: Vec<Part>) -> Self {
        Self { parts, encoded: Default::default() }
    }

    /// The events that a user hears in a namespace.
    pub(super) fn events(
        &self,
        namespace: Namespace,
        user: Option<&Id>,
    ) -> impl Iterator<Item = &Arc<Outgoing>> {
        let heard = move |part: &&Part| {
            part.namespaces.contains(namespace)
                && (part.except.is_none() || part.except.as_ref() != user)
        };
        self.parts.iter().filter(heard).map(|part| &part.event)
    }

    /// The same as runs of whole frames.
    pub(super) fn frames(&self, namespace: Namespace, user: Option<&Id>) -> SmallVec<[Bytes; 2]> {
        let encoded = self.encoded[namespace as usize].get_or_init(|| self.encode(namespace));
        let gaps = user.and_then(|user| encoded.gaps.get(user));
        let mut runs = SmallVec::new();
        let mut start = 0;
        for gap in gaps.into_iter().flatten() {
            runs.push(encoded.frames.slice(start..gap.start));
            start = gap.end;
        }
        runs.push(encoded.frames.slice(start..));
        runs.retain(|run: &mut Bytes| !run.is_empty());
        runs
    }

    /// Counts deliveries, by event; those left out are so few that they do not count.
    pub(super) fn count(&self, sockets: usize) {
        for part in &self.parts {
            metrics::events_out(part.event.label()).increment(sockets as u64);
        }
    }

    fn encode(&self, namespace: Namespace) -> Encoded {
        let mut frames = BytesMut::new();
        let mut gaps: HashMap<Id, SmallVec<[Range<usize>; 1]>> = HashMap::new();
        for part in self.parts.iter().filter(|part| part.namespaces.contains(namespace)) {
            let start = frames.len();
            frames.extend_from_slice(part.event.frame(namespace));
            if let Some(user) = &part.except {
                gaps.entry(user.clone()).or_default().push(start..frames.len());
            }
        }
        Encoded { frames: frames.freeze(), gaps }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::event::{Dialect, EventName};

    fn part(data: &str, except: Option<&str>) -> Part {
        let data = RawValue::from_string(data.into()).expect("json");
        Part {
            event: Outgoing::named(&EventName::new("x").expect("a name"), data, "other"),
            namespaces: Dialect::Conversation.namespaces(),
            except: except.map(|id| Id::new(id).expect("an id")),
        }
    }

    #[test]
    fn everyone_hears_all_but_their_own() {
        let bundle = Bundle::new(vec![
            part("1", Some("a")),
            part("2", Some("b")),
            part("3", None),
            part("4", Some("a")),
        ]);
        for (user, heard) in [(None, 4), (Some("a"), 2), (Some("b"), 3)] {
            let user = user.map(|id| Id::new(id).expect("an id"));
            let frames = bundle.frames(Namespace::Chat, user.as_ref()).concat();
            let events: Vec<Bytes> = bundle
                .events(Namespace::Chat, user.as_ref())
                .map(|event| event.frame(Namespace::Chat).clone())
                .collect();
            assert_eq!(events.len(), heard, "{user:?}");
            assert_eq!(frames, events.concat(), "{user:?}");
        }
        assert!(bundle.frames(Namespace::Marketplace, None).is_empty());
    }
}
