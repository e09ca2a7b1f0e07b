//! A bundle: many small events for everyone, or some of them for each, written as one. A thousand
//! users who come online in one moment cost each socket one write, not a thousand.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::{Arc, OnceLock},
};

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::{
    event::{ByNamespace, Ephemeral, Namespace, Namespaces, Twinned},
    id::Id,
    realtime::frame::Outgoing,
};

/// One event of a bundle.
pub struct Part {
    event: Arc<Outgoing>,
    /// Where it is heard.
    namespaces: Namespaces,
    /// The user who does not hear it.
    except: Option<Id>,
    /// When it happened: who came in later does not hear it. Without that everyone does.
    at: Option<Instant>,
}

impl Part {
    /// An event in both dialects, of what happened then. In its own, one user does not hear it.
    #[must_use]
    pub fn twins<E>(event: &E, except: Id, twin: &E::Twin, at: Option<Instant>) -> [Self; 2]
    where
        E: Ephemeral + Twinned<Twin: Ephemeral>,
    {
        let except = Some(except);
        [Self { except, at, ..Self::again(event) }, Self { at, ..Self::again(twin) }]
    }

    /// An event in its own dialect: to who was told before, and in the other one, too.
    #[must_use]
    pub fn again<E: Ephemeral>(event: &E) -> Self {
        let namespaces = E::EVENT.dialect.namespaces();
        Self { event: Outgoing::of(event), namespaces, except: None, at: None }
    }

    /// Whether somebody hears it there.
    fn is_for(&self, hearer: &Hearer) -> bool {
        self.namespaces.contains(hearer.namespace)
            && (self.except.is_none() || self.except.as_ref() != hearer.user)
            && self.at.is_none_or(|at| at >= hearer.since)
    }
}

/// A connection, as far as it says which events of a bundle are for it.
pub(super) struct Hearer<'a> {
    pub(super) namespace: Namespace,
    pub(super) user: Option<&'a Id>,
    /// When it came in.
    pub(super) since: Instant,
}

/// How many events were delivered, by their names.
pub(super) type Delivered = BTreeMap<&'static str, u64>;

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
    /// When each happened, where that matters, and where its frame begins.
    starts: Vec<(Option<Instant>, usize)>,
    /// Where the frames are that a user does not hear, in ascending order.
    gaps: HashMap<Id, SmallVec<[Range<usize>; 1]>>,
    /// Where those of each name begin.
    by_name: BTreeMap<&'static str, Vec<usize>>,
}

impl Bundle {
    /// A bundle of events, in the order in which they happened; what has no time comes last.
    #[must_use]
    pub fn new(parts: Vec<Part>) -> Self {
        debug_assert!(parts.is_sorted_by_key(|part| (part.at.is_none(), part.at)), "not in order");
        Self { parts, encoded: ByNamespace::default() }
    }

    /// All of its events, with where each is heard and the user who does not hear it.
    pub(in crate::realtime) fn parts(
        &self,
    ) -> impl Iterator<Item = (&Arc<Outgoing>, Namespaces, Option<&Id>)> {
        self.parts.iter().map(|part| (&part.event, part.namespaces, part.except.as_ref()))
    }

    /// The events that somebody hears.
    pub(super) fn events(&self, hearer: &Hearer) -> impl Iterator<Item = &Arc<Outgoing>> {
        let heard = self.parts.iter().filter(|part| part.is_for(hearer));
        heard.map(|part| &part.event)
    }

    /// Those of them that were picked for the user.
    pub(super) fn picked(
        &self,
        picks: &Picks,
        hearer: &Hearer,
    ) -> impl Iterator<Item = &Arc<Outgoing>> {
        let parts = picks.iter().filter_map(|number| self.parts.get(number));
        parts.filter(|part| part.is_for(hearer)).map(|part| &part.event)
    }

    /// All that somebody hears, as runs of whole frames, which count as delivered: also those that
    /// they are left out of, which are few.
    pub(super) fn frames(
        &self,
        hearer: &Hearer,
        delivered: &mut Delivered,
    ) -> SmallVec<[Bytes; 2]> {
        let encoded = self.encoded[hearer.namespace].get_or_init(|| self.encode(hearer.namespace));
        let is_before = |at: &Option<Instant>| at.is_some_and(|at| at < hearer.since);
        let first = encoded.starts.partition_point(|(at, _)| is_before(at));
        let begin = encoded.starts.get(first).map_or(encoded.frames.len(), |(_, start)| *start);
        for (name, starts) in &encoded.by_name {
            let heard = starts.len() - starts.partition_point(|at| *at < begin);
            *delivered.entry(name).or_default() += heard as u64;
        }
        let gaps = hearer.user.and_then(|user| encoded.gaps.get(user));
        let (mut runs, mut start) = (SmallVec::new(), begin);
        for gap in gaps.into_iter().flatten().filter(|gap| gap.start >= begin) {
            runs.push(encoded.frames.slice(start..gap.start));
            start = gap.end;
        }
        runs.push(encoded.frames.slice(start..));
        runs.retain(|run: &mut Bytes| !run.is_empty());
        runs
    }

    fn encode(&self, namespace: Namespace) -> Encoded {
        let mut frames = BytesMut::new();
        let mut starts = Vec::with_capacity(self.parts.len());
        let mut gaps: HashMap<Id, SmallVec<[Range<usize>; 1]>> = HashMap::new();
        let mut by_name: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for part in self.parts.iter().filter(|part| part.namespaces.contains(namespace)) {
            let start = frames.len();
            starts.push((part.at, start));
            by_name.entry(part.event.label()).or_default().push(start);
            frames.extend_from_slice(part.event.frame(namespace));
            if let Some(user) = &part.except {
                gaps.entry(user.clone()).or_default().push(start..frames.len());
            }
        }
        Encoded { frames: frames.freeze(), starts, gaps, by_name }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::value::RawValue;

    use super::*;
    use crate::event::{Dialect, EventName};

    fn part(data: &str, except: Option<&str>, at: Option<Instant>) -> Part {
        let data = RawValue::from_string(data.into()).expect("json");
        Part {
            event: Outgoing::named(&EventName::new("x").expect("a name"), data, false, "other"),
            namespaces: Dialect::Conversation.namespaces(),
            except: except.map(|id| Id::new(id).expect("an id")),
            at,
        }
    }

    fn hearer(namespace: Namespace, user: Option<&Id>, since: Instant) -> Hearer<'_> {
        Hearer { namespace, user, since }
    }

    #[test]
    fn everyone_hears_all_since_they_came_but_their_own() {
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        let bundle = Bundle::new(vec![
            part("1", Some("a"), Some(at(1))),
            part("2", Some("b"), Some(at(2))),
            part("3", None, Some(at(3))),
            part("4", Some("a"), Some(at(3))),
            part("5", Some("b"), None),
            part("6", None, None),
        ]);
        for (user, since, heard) in [
            (None, 0, "123456"),
            (None, 1, "123456"),
            (None, 2, "23456"),
            (None, 3, "3456"),
            (None, 4, "56"),
            (Some("a"), 0, "2356"),
            (Some("a"), 2, "2356"),
            (Some("a"), 3, "356"),
            (Some("b"), 0, "1346"),
            (Some("b"), 2, "346"),
            (Some("b"), 4, "6"),
        ] {
            let user = user.map(|id| Id::new(id).expect("an id"));
            let hearer = hearer(Namespace::Chat, user.as_ref(), at(since));
            let mut delivered = Delivered::new();
            let frames = bundle.frames(&hearer, &mut delivered).concat();
            let events: Vec<_> = bundle.events(&hearer).collect();
            let numbers: String = events.iter().map(|event| event.data().get()).collect();
            assert_eq!(numbers, heard, "{user:?} {since}");
            let of_events: Vec<Bytes> =
                events.iter().map(|event| event.frame(Namespace::Chat).clone()).collect();
            assert_eq!(frames, of_events.concat(), "{user:?} {since}");
            let all =
                bundle.parts.iter().filter(|part| part.at.is_none_or(|at| at >= hearer.since));
            assert_eq!(delivered["other"], all.count() as u64, "{user:?} {since}");
        }
        let elsewhere = hearer(Namespace::Marketplace, None, begin);
        assert!(bundle.frames(&elsewhere, &mut Delivered::new()).is_empty());
    }

    #[test]
    fn who_hears_some_hears_those_in_their_order() {
        let bundle = Bundle::new((0..200).map(|n| part(&n.to_string(), None, None)).collect());
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
        let now = Instant::now();
        let [here, elsewhere] =
            [Namespace::Chat, Namespace::Marketplace].map(|at| hearer(at, None, now));
        let heard: Vec<_> = bundle.picked(&picks, &here).map(data).collect();
        assert_eq!(heard, ["0", "7", "63", "64", "130", "199"]);
        assert_eq!(bundle.picked(&picks, &elsewhere).count(), 0);
        assert_eq!(Picks::default().iter().count(), 0);
    }
}
