//! What is said in one session of Engine.IO, over whichever transport, and what is kept of it.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::Value;

use super::{
    copies::Side,
    names,
    packet::{Kind, Packet},
    shapes::{Reader, Shapes},
    tally::{Heartbeat, Sockets, Tally},
    tokens::{Judgement, Keys},
};
use crate::{
    event::{EventPatterns, EventType, Namespace, Shape},
    realtime::catalogue::{Catalogue, REFUSAL},
};

/// Namespaces that a session waits to be let into, and acknowledgements that it waits for.
const MOST_WAITING: usize = 64;

/// What packets are compared with.
pub(super) struct Contract {
    pub(super) catalogue: Catalogue,
    pub(super) shapes: Shapes,
    pub(super) keys: Keys,
    /// Events that a backend answers.
    pub(super) proxied: EventPatterns,
}

/// One session.
#[derive(Default)]
pub(super) struct Session {
    /// What its first request shows.
    shown: Judgement,
    /// Namespaces that were asked for, by name, and what was shown for each.
    asking: VecDeque<(String, Judgement)>,
    /// Events that are to be acknowledged, by namespace and number.
    waiting: VecDeque<(String, u64, String)>,
    /// Binary packets that belong to the last event of each side.
    binary: [u32; 2],
    /// Whether the server numbers its events for recovery.
    recovers: bool,
}

/// What the server says first.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    sid: String,
    ping_interval: Option<u64>,
    ping_timeout: Option<u64>,
}

impl Session {
    /// One that is opened by a request that shows this.
    pub(super) fn showing(shown: Judgement) -> Self {
        Self { shown, ..Self::default() }
    }

    /// A packet of Engine.IO, as text. Where it opens the session, by which id.
    pub(super) fn text(
        &mut self,
        side: Side,
        packet: &str,
        contract: &Contract,
        tally: &mut Tally,
    ) -> Option<String> {
        match (packet.as_bytes().first()?, side) {
            (b'0', Side::Server) => {
                let open: Open = serde_json::from_str(&packet[1..]).ok()?;
                if let (Some(interval), Some(timeout)) = (open.ping_interval, open.ping_timeout) {
                    tally.heartbeat = Some(Heartbeat { interval, timeout });
                }
                return Some(open.sid);
            }
            (b'4', _) => self.message(side, &packet[1..], contract, tally),
            (b'5', Side::Client) => tally.transports.upgraded += 1,
            (b'b', _) => self.binary(side, packet.len() / 4 * 3, tally),
            _ => {}
        }
        None
    }

    /// A packet of bytes, which belongs to an event.
    pub(super) fn binary(&mut self, side: Side, bytes: usize, tally: &mut Tally) {
        tally.size(side, bytes);
        match &mut self.binary[side as usize] {
            0 => tally.unreadable += 1,
            left => *left -= 1,
        }
    }

    fn message(&mut self, side: Side, text: &str, contract: &Contract, tally: &mut Tally) {
        tally.size(side, text.len());
        let Some(packet) = Packet::read(text) else {
            tally.unreadable += 1;
            return;
        };
        self.binary[side as usize] += packet.attachments;
        let data = match packet.data {
            "" => Ok(None),
            data => serde_json::from_str::<Value>(data).map(Some),
        };
        let Ok(data) = data else {
            tally.unreadable += 1;
            return;
        };
        match (packet.kind, side) {
            (Kind::Connect, Side::Client) => {
                let judgement = contract.keys.judge_socket(&self.shown, data.as_ref());
                keep(&mut self.asking, (packet.namespace.to_owned(), judgement));
            }
            (Kind::Connect, Side::Server) => {
                self.recovers |= data.is_some_and(|data| data.get("pid").is_some());
                self.connected(packet.namespace, tally);
            }
            (Kind::Refusal, Side::Server) => self.refused(packet.namespace, tally),
            (Kind::Event, _) => self.event(side, &packet, data, contract, tally),
            (Kind::Ack, Side::Server) => self.answer(&packet, data.as_ref(), contract, tally),
            _ => {}
        }
    }

    /// What was shown for a namespace. Clients of version 3 do not ask for `/`.
    fn judged(&mut self, namespace: &str) -> Judgement {
        let asked = self.asking.iter().position(|(asked, _)| asked == namespace);
        let asked = asked.and_then(|at| self.asking.remove(at));
        asked.map_or_else(|| self.shown.clone(), |(_, judgement)| judgement)
    }

    fn connected(&mut self, namespace: &str, tally: &mut Tally) {
        let Judgement { read, unread } = self.judged(namespace);
        sockets(namespace, tally, |sockets| sockets.connected += 1);
        let tokens = &mut tally.tokens;
        if read.is_none() && unread.is_empty() {
            tokens.none += 1;
        }
        if let Some((place, verdict)) = read {
            let verdicts = tokens.read.entry(place).or_default();
            match verdict {
                Ok(()) => verdicts.taken += 1,
                Err(reason) => *verdicts.refused.entry(reason).or_default() += 1,
            }
        }
        for (place, would_be_taken) in unread {
            tokens.unread.entry(place).or_default()[usize::from(would_be_taken)] += 1;
        }
    }

    fn refused(&mut self, namespace: &str, tally: &mut Tally) {
        let judgement = self.judged(namespace);
        sockets(namespace, tally, |sockets| sockets.refused += 1);
        if let Some((_, Ok(()))) = judgement.read {
            tally.tokens.refused_there += 1;
        }
    }

    fn event(
        &mut self,
        side: Side,
        packet: &Packet<'_>,
        data: Option<Value>,
        contract: &Contract,
        tally: &mut Tally,
    ) {
        let Some(Value::Array(said)) = data else {
            tally.unreadable += 1;
            return;
        };
        let mut said = said.into_iter();
        let name = match said.next() {
            Some(Value::String(name)) => name,
            // Node's servers take numbers for names.
            Some(Value::Number(name)) => name.to_string(),
            _ => {
                tally.unreadable += 1;
                return;
            }
        };
        let mut arguments: Vec<_> = said.collect();
        if side == Side::Server && self.recovers && arguments.last().is_some_and(Value::is_string) {
            // Where its stream stands.
            arguments.pop();
        }
        let (known, reader, events) = match side {
            Side::Client => (contract.catalogue.heard(&name), Reader::Stoa, &mut tally.heard),
            Side::Server => (contract.catalogue.sent(&name), Reader::App, &mut tally.sent),
        };
        let known = known.filter(|event| is_said_in(event, packet.namespace));
        let is_proxied = side == Side::Client
            && contract.catalogue.heard(&name).is_none()
            && contract.proxied.find(&name).is_some();
        let told = if known.is_some() { name } else { names::told(&name) };
        let Some(event) = events.of(&told) else { return };
        event.count += 1;
        event.is_known = known.is_some() || is_proxied;
        event.largest = event.largest.max(packet.data.len());
        event.namespaces.insert(names::told(packet.namespace));
        if let Some(known) = known {
            event.differs(contract.shapes.compare(&[known.payload], &arguments, reader));
        }
        let Some(id) = packet.id else { return };
        event.asked += 1;
        if side == Side::Client && known.is_some() {
            keep(&mut self.waiting, (packet.namespace.to_owned(), id, told));
        }
    }

    /// The server's acknowledgement of an event.
    fn answer(
        &mut self,
        packet: &Packet<'_>,
        data: Option<&Value>,
        contract: &Contract,
        tally: &mut Tally,
    ) {
        let is_it = |(namespace, id, _): &(String, u64, String)| {
            *namespace == packet.namespace && Some(*id) == packet.id
        };
        let asked = self.waiting.iter().position(is_it).and_then(|at| self.waiting.remove(at));
        let Some((_, _, name)) = asked else { return };
        let Some(ack) = contract.catalogue.heard(&name).and_then(|event| event.ack) else { return };
        let answer = data.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let types: [Shape; 2] = [ack, REFUSAL];
        if let Some(event) = tally.heard.of(&name) {
            event.answer_differs(contract.shapes.compare(&types, answer, Reader::App));
        }
    }
}

/// The oldest goes where there are too many.
fn keep<T>(kept: &mut VecDeque<T>, one: T) {
    if kept.len() == MOST_WAITING {
        kept.pop_front();
    }
    kept.push_back(one);
}

/// In a namespace that this server has not, nothing is said against an event but that.
fn is_said_in(event: &EventType, namespace: &str) -> bool {
    let namespace = Namespace::from_path(namespace);
    namespace.is_none_or(|namespace| event.dialect.namespaces().contains(namespace))
}

fn sockets(namespace: &str, tally: &mut Tally, count: impl FnOnce(&mut Sockets)) {
    if let Some(sockets) = tally.namespaces.of(&names::told(namespace)) {
        count(sockets);
    }
}
