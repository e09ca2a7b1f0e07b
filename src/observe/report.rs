//! What was observed, as it is told: to programs as JSON (docs/observe.md#the-report), to people as
//! text.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Write},
};

use serde::Serialize;

use super::{
    advice::{Advice, ToDo},
    copies::Side,
    shapes::{Difference, Kind},
    tally::{ByName, Event, Sizes, Tally},
    tokens::Place,
};
use crate::{clock::Timestamp, event::Namespace};

/// Everything that was observed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    upstream: String,
    from: Timestamp,
    to: Timestamp,
    read: Completeness,
    sessions: Sessions,
    other_requests: u64,
    namespaces: Vec<NamespaceSeen>,
    tokens: Vec<TokenSeen>,
    without_token: u64,
    taken_here_only: u64,
    client_events: Vec<EventSeen>,
    server_events: Vec<EventSeen>,
    from_clients: Sizes,
    from_server: Sizes,
    to_do: Vec<ToDo>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Completeness {
    connections: u64,
    lost: u64,
    unreadable: u64,
    too_long: u64,
    left_out: u64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sessions {
    engine_io_3: u64,
    engine_io_4: u64,
    polling: u64,
    websocket: u64,
    upgraded: u64,
    compressed: u64,
    jsonp: u64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NamespaceSeen {
    namespace: String,
    known: bool,
    connected: u64,
    refused: u64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenSeen {
    place: Place,
    read_here: bool,
    taken: u64,
    refused: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EventSeen {
    event: String,
    known: bool,
    count: u64,
    acknowledgements: u64,
    namespaces: Vec<String>,
    largest: usize,
    differences: Vec<Counted>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    acknowledgement_differences: Vec<Counted>,
}

#[derive(Clone, Debug, Serialize)]
struct Counted {
    #[serde(flatten)]
    difference: Difference,
    count: u64,
}

impl Report {
    pub(super) fn new(
        upstream: &str,
        (from, to): (Timestamp, Timestamp),
        tally: &Tally,
        advice: &Advice,
    ) -> Self {
        let transports = &tally.transports;
        let version = |version: u8| tally.sessions.get(&version).copied().unwrap_or_default();
        Self {
            upstream: upstream.to_owned(),
            from,
            to,
            read: Completeness {
                connections: tally.connections,
                lost: tally.lost,
                unreadable: tally.unreadable,
                too_long: tally.too_long,
                left_out: tally.heard.others + tally.sent.others + tally.namespaces.others,
            },
            sessions: Sessions {
                engine_io_3: version(3),
                engine_io_4: version(4),
                polling: transports.polling,
                websocket: transports.websocket,
                upgraded: transports.upgraded,
                compressed: transports.packed,
                jsonp: transports.jsonp,
            },
            other_requests: tally.other_requests,
            namespaces: namespaces(tally),
            tokens: tokens(tally),
            without_token: tally.tokens.none,
            taken_here_only: tally.tokens.refused_there,
            client_events: events(&tally.heard),
            server_events: events(&tally.sent),
            from_clients: tally.sizes(Side::Client),
            from_server: tally.sizes(Side::Server),
            to_do: advice.to_do(tally),
        }
    }

    /// How much was read: it is told again when this has changed.
    #[must_use]
    pub fn said(&self) -> u64 {
        let packets = self.from_clients.packets + self.from_server.packets;
        packets + self.read.connections + self.other_requests
    }

    /// What is to be configured or changed before the move.
    #[must_use]
    pub fn to_do(&self) -> &[ToDo] {
        &self.to_do
    }
}

fn namespaces(tally: &Tally) -> Vec<NamespaceSeen> {
    let seen = tally.namespaces.named.iter().map(|(namespace, sockets)| NamespaceSeen {
        namespace: namespace.clone(),
        known: Namespace::from_path(namespace).is_some(),
        connected: sockets.connected,
        refused: sockets.refused,
    });
    seen.collect()
}

fn tokens(tally: &Tally) -> Vec<TokenSeen> {
    let read = tally.tokens.read.iter().map(|(place, verdicts)| TokenSeen {
        place: place.clone(),
        read_here: true,
        taken: verdicts.taken,
        refused: verdicts.refused.clone(),
    });
    let unread = tally.tokens.unread.iter().map(|(place, [no, yes])| TokenSeen {
        place: place.clone(),
        read_here: false,
        taken: *yes,
        refused: BTreeMap::from_iter((*no > 0).then(|| ("not taken by its keys".to_owned(), *no))),
    });
    read.chain(unread).collect()
}

fn events(seen: &ByName<Event>) -> Vec<EventSeen> {
    let counted = |differences: &BTreeMap<Difference, u64>| -> Vec<Counted> {
        let counted = differences.iter();
        counted.map(|(one, count)| Counted { difference: one.clone(), count: *count }).collect()
    };
    let events = seen.named.iter().map(|(name, event)| EventSeen {
        event: name.clone(),
        known: event.is_known,
        count: event.count,
        acknowledgements: event.asked,
        namespaces: event.namespaces.iter().cloned().collect(),
        largest: event.largest,
        differences: counted(&event.differences),
        acknowledgement_differences: counted(&event.answers),
    });
    events.collect()
}

/// `one 1, other 2`, or a dash.
fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() { "-".to_owned() } else { items.join(", ") }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, sessions, .. } = self;
        writeln!(f, "{} from {} to {}", self.upstream, self.from, self.to)?;
        writeln!(
            f,
            "sessions     Engine.IO 4: {}, Engine.IO 3: {}; polling {}, websocket {}, changed over \
             {}, compressed {}",
            sessions.engine_io_4,
            sessions.engine_io_3,
            sessions.polling,
            sessions.websocket,
            sessions.upgraded,
            sessions.compressed
        )?;
        let namespaces = self.namespaces.iter().map(|one| {
            let mut text = format!("{} {}", one.namespace, one.connected);
            if one.refused > 0 {
                let _ = write!(text, " ({} refused)", one.refused);
            }
            text
        });
        writeln!(f, "namespaces   {}", list(namespaces))?;
        let tokens = self.tokens.iter().map(|one| {
            let mut text = format!("{} ({} taken", one.place, one.taken);
            for (reason, count) in &one.refused {
                let _ = write!(text, ", {count} {reason}");
            }
            text.push_str(if one.read_here { ")" } else { ", not read there)" });
            text
        });
        writeln!(f, "tokens       {}; none {}", list(tokens), self.without_token)?;
        for (title, events, unknown) in [
            ("clients say", &self.client_events, "nobody"),
            ("server says", &self.server_events, "unknown"),
        ] {
            let events = events.iter().map(|one| {
                let known = if one.known { String::new() } else { format!(" ({unknown})") };
                format!("{} {}{known}", one.event, one.count)
            });
            writeln!(f, "{title}  {}", list(events))?;
        }
        for (event, one) in self.less() {
            let Difference { field, expected, .. } = &one.difference;
            let expected = expected.as_deref().unwrap_or_default();
            writeln!(f, "             {event} will have {field} ({expected}) besides")?;
        }
        writeln!(
            f,
            "sizes        clients {} packets, the largest {} bytes; server {}, {} bytes",
            self.from_clients.packets,
            self.from_clients.largest,
            self.from_server.packets,
            self.from_server.largest
        )?;
        writeln!(
            f,
            "read         {} connections; {} lost, {} unreadable, {} too long; {} other requests",
            read.connections, read.lost, read.unreadable, read.too_long, self.other_requests
        )?;
        if self.to_do.is_empty() {
            let nothing = if self.from_clients.packets == 0 && self.from_server.packets == 0 {
                "Nothing was said yet."
            } else {
                "Nothing to do."
            };
            return writeln!(f, "{nothing}");
        }
        writeln!(f, "To do:")?;
        self.to_do.iter().try_for_each(|one| writeln!(f, "  {one}"))
    }
}

impl Report {
    /// What the server's events will have and have not today.
    fn less(&self) -> impl Iterator<Item = (&str, &Counted)> {
        self.server_events.iter().flat_map(|event| {
            let missing = event.differences.iter();
            let missing = missing.filter(|one| one.difference.kind == Kind::Missing);
            missing.map(|one| (event.event.as_str(), one))
        })
    }
}
