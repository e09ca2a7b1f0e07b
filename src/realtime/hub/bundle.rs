//! A bundle: many small events for everyone, or some of them for each, written as one. A thousand
//! users who come online in one moment cost each socket one write, not a thousand.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, OnceLock},
};

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use crate::{
    event::{ByNamespace, Ephemeral, Namespace, Namespaces, Twinned},
    id::Id,
    metrics,
    realtime::frame::Outgoing,
};

/// One event of a bundle.
pub struct Part {
    event: Arc<Outgoing>,
    /// Where it is heard.
    namespaces: Namespaces,
    /// The user who does not hear it.
    except: Option<Id>,
}

impl Part {
    /// An event in both dialects. In its own, one user does not hear it.
    #[must_use]
    pub fn twins<E>(event: &E, except: Id, twin: &E::Twin) -> [Self; 2]
    where
        E: Ephemeral + Twinned<Twin: Ephemeral>,
    {
        [Self { except: Some(except), ..Self::again(event) }, Self::again(twin)]
    }

    /// An event in its own dialect: to who was told before, and in the other one, too.
    #[must_use]
    pub fn again<E: Ephemeral>(event: &E) -> Self {
        let namespaces = E::EVENT.dialect.namespaces();
        Self { event: Outgoing::of(event), namespaces, except: None }
    }
}

/// Which events of a bundle, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picks(SmallVec<[u64; 2]>);

impl Picks {
    /// One event more.
    pub fn insert(&mut self, number: usize) {
        let (word, bit) = (number / 64, number % 64);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << bit;
    }

    /// All that others are.
    pub fn add(&mut self, others: &Self) {
        if others.0.len() > self.0.len() {
            self.0.resize(others.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&others.0) {
            *word |= more;
        }
    }

    /// Their numbers, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().zip((0..).step_by(64)).flat_map(|(word, first)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                // Without its last one.
                left &= left.checked_sub(1)?;
                Some(first + bit)
            })
        })
    }
}

/// Events for many, each but for one user.
pub struct Bundle {
    parts: Vec<Part>,
    encoded: ByNamespace<OnceLock<Encoded>>,
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
        Self { parts, encoded: ByNamespace::default() }
    }

    /// The events that a user hears in a namespace.
    pub(super) fn events(
        &self,
        namespace: Namespace,
        user: Option<&Id>,
    ) -> impl Iterator<Item = &Arc<Outgoing>> {
        heard(self.parts.iter(), namespace, user)
    }

    /// Those of them that were picked for the user.
    pub(super) fn picked(
        &self,
        picks: &Picks,
        namespace: Namespace,
        user: Option<&Id>,
    ) -> impl Iterator<Item = &Arc<Outgoing>> {
        let parts = picks.iter().filter_map(|number| self.parts.get(number));
        heard(parts, namespace, user)
    }

    /// All that a user hears, as runs of whole frames.
    pub(super) fn frames(&self, namespace: Namespace, user: Option<&Id>) -> SmallVec<[Bytes; 2]> {
        let encoded = self.encoded[namespace].get_or_init(|| self.encode(namespace));
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

/// Those of the events that a user hears in a namespace.
fn heard<'a>(
    parts: impl Iterator<Item = &'a Part>,
    namespace: Namespace,
    user: Option<&Id>,
) -> impl Iterator<Item = &'a Arc<Outgoing>> {
    let heard = move |part: &&Part| {
        part.namespaces.contains(namespace)
            && (part.except.is_none() || part.except.as_ref() != user)
    };
    parts.filter(heard).map(|part| &part.event)
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::event::{Dialect, EventName};

    fn part(data: &str, except: Option<&str>) -> Part {
        let data = RawValue::from_string(data.into()).expect("json");
        Part {
            event: Outgoing::named(&EventName::new("x").expect("a name"), data, false, "other"),
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

    #[test]
    fn who_hears_some_hears_those_in_their_order() {
        let bundle = Bundle::new((0..200).map(|n| part(&n.to_string(), None)).collect());
        let mut picks = Picks::default();
        for number in [199, 0, 63, 64, 130, 63] {
            picks.insert(number);
        }
        let mut more = Picks::default();
        more.insert(7);
        more.add(&picks);
        picks.add(&more);
        assert_eq!(picks, more);
        assert_eq!(picks.iter().collect::<Vec<_>>(), [0, 7, 63, 64, 130, 199]);
        let data = |event: &Arc<Outgoing>| event.data().get().to_owned();
        let heard: Vec<_> = bundle.picked(&picks, Namespace::Chat, None).map(data).collect();
        assert_eq!(heard, ["0", "7", "63", "64", "130", "199"]);
        assert_eq!(bundle.picked(&picks, Namespace::Marketplace, None).count(), 0);
        assert_eq!(Picks::default().iter().count(), 0);
    }
}
