//! Frames: what a server sends over a websocket, encoded once and shared by everyone who gets it.
//! Server frames are not masked (RFC 6455, section 5.1), so the bytes are the same for all.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
};

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    db::Reach,
    event::{ByNamespace, Ephemeral, EventName, Namespace},
};

/// Opcodes with the FIN bit set.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PONG: u8 = 0x8a;

/// A close frame that says "going away" (RFC 6455, status 1001).
pub(super) const GOING_AWAY: Bytes = Bytes::from_static(&[CLOSE, 2, 0x03, 0xe9]);

/// A text frame around the parts of a payload.
pub(super) fn text(parts: &[&str]) -> Bytes {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut frame = BytesMut::with_capacity(length + 10);
    put_text(&mut frame, parts, length);
    frame.freeze()
}

fn put_text(frame: &mut BytesMut, parts: &[&str], length: usize) {
    frame.put_u8(TEXT);
    if let Ok(short @ 0..=125) = u8::try_from(length) {
        frame.put_u8(short);
    } else if let Ok(medium) = u16::try_from(length) {
        frame.put_u8(126);
        frame.put_u16(medium);
    } else {
        frame.put_u8(127);
        frame.put_u64(length as u64);
    }
    for part in parts {
        frame.put_slice(part.as_bytes());
    }
}

/// One whole server frame at the start of `bytes`: its payload, and its length with the header.
/// None when `bytes` does not begin with a whole frame.
pub(super) fn first(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (header, length) = match *bytes.get(1)? & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    let end = header + usize::try_from(length).ok()?;
    Some((bytes.get(header..end)?, end))
}

/// A close frame with a status (RFC 6455, section 7.4.1).
pub(super) fn close(status: Option<u16>) -> Bytes {
    let Some(status) = status else { return Bytes::from_static(&[CLOSE, 0]) };
    let [high, low] = status.to_be_bytes();
    Bytes::copy_from_slice(&[CLOSE, 2, high, low])
}

/// The answer to a websocket's own ping, which has at most 125 bytes.
pub(super) fn pong(payload: &[u8]) -> Bytes {
    let length = u8::try_from(payload.len()).unwrap_or(0);
    [&[PONG, length][..], payload].concat().into()
}

/// The Socket.IO prefix of a packet: Engine.IO's message type, the packet's type, the namespace
/// (Socket.IO protocol v5, "Packet encoding"; `/` is left out).
const fn prefix(namespace: Namespace, kind: Kind) -> &'static str {
    match (kind, namespace) {
        (Kind::Connect, Namespace::Root) => "40",
        (Kind::Connect, Namespace::Chat) => "40/chat,",
        (Kind::Connect, Namespace::Marketplace) => "40/marketplace,",
        (Kind::Connect, Namespace::Admin) => "40/admin,",
        (Kind::Event, Namespace::Root) => "42",
        (Kind::Event, Namespace::Chat) => "42/chat,",
        (Kind::Event, Namespace::Marketplace) => "42/marketplace,",
        (Kind::Event, Namespace::Admin) => "42/admin,",
        (Kind::Ack, Namespace::Root) => "43",
        (Kind::Ack, Namespace::Chat) => "43/chat,",
        (Kind::Ack, Namespace::Marketplace) => "43/marketplace,",
        (Kind::Ack, Namespace::Admin) => "43/admin,",
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Connect,
    Event,
    Ack,
}

/// The answer to a CONNECT, as the client reads it: with the id of the socket and that of a session
/// that it may come back to. Version 3 is told neither.
pub(super) fn connected(namespace: Namespace, id: Uuid, pid: Option<&str>, v3: bool) -> String {
    let prefix = prefix(namespace, Kind::Connect);
    if v3 {
        return prefix.trim_end_matches(',').to_owned();
    }
    match pid {
        Some(pid) => format!("{prefix}{{\"sid\":\"{id}\",\"pid\":\"{pid}\"}}"),
        None => format!("{prefix}{{\"sid\":\"{id}\"}}"),
    }
}

/// The refusal of a CONNECT to a namespace, which need not be one of ours. Version 3 is told the words
/// alone (Socket.IO protocol v4, ERROR packets).
pub(super) fn refused(namespace: &str, words: &str, v3: bool) -> Bytes {
    let words = serde_json::Value::from(words).to_string();
    let (path, comma) = if namespace == "/" { ("", "") } else { (namespace, ",") };
    if v3 {
        return text(&["44", path, comma, &words]);
    }
    text(&["44", path, comma, "{\"message\":", &words, "}"])
}

/// A refused CONNECT as Engine.IO 3 clients read it: `44"message"` in place of
/// `44{"message":"message"}` (Socket.IO protocol v4, ERROR packets).
pub(super) fn plain_error(packet: &str) -> Option<String> {
    let rest = packet.strip_prefix("44")?;
    let (namespace, data) = rest.split_at(rest.find('{')?);
    let refusal: serde_json::Map<String, serde_json::Value> = serde_json::from_str(data).ok()?;
    Some(format!("44{namespace}{}", refusal.get("message")?))
}

/// An event on its way out: its name, its data, and its frames, made when first asked for and then
/// shared.
#[derive(Debug)]
pub struct Outgoing {
    event: Box<str>,
    /// The name under which it is counted: not every name that comes from outside.
    label: &'static str,
    data: Box<RawValue>,
    /// Whether the data is a list of arguments.
    several: bool,
    /// How far who hears it has heard all kept events.
    offset: Option<Box<str>>,
    frames: ByNamespace<OnceLock<Bytes>>,
    /// For those who are told offsets.
    with_offset: ByNamespace<OnceLock<Bytes>>,
}

impl Outgoing {
    /// An event whose name came from outside and was checked; its data may be a list of `several`
    /// arguments.
    #[must_use]
    pub(super) fn named(
        event: &EventName,
        data: Box<RawValue>,
        several: bool,
        label: &'static str,
    ) -> Arc<Self> {
        Self::with(event.as_str(), data, several, label, None)
    }

    /// The same of one that is kept.
    #[must_use]
    pub(super) fn kept(
        event: &EventName,
        data: Box<RawValue>,
        several: bool,
        label: &'static str,
        offset: &Reach,
    ) -> Arc<Self> {
        Self::with(event.as_str(), data, several, label, Some(offset.to_string().into()))
    }

    /// An event of the catalogue that is not kept.
    #[must_use]
    pub fn of<E: Ephemeral>(payload: &E) -> Arc<Self> {
        let data = serde_json::value::to_raw_value(payload).unwrap_or_else(|error| {
            tracing::error!(%error, event = E::EVENT.name, "a payload could not be written");
            RawValue::NULL.to_owned()
        });
        Self::with(E::EVENT.name, data, false, E::EVENT.name, None)
    }

    /// An event of the Admin UI's, with these arguments; none where they can't be written.
    #[must_use]
    pub fn to_operators(
        event: &'static str,
        arguments: &(impl Serialize + ?Sized),
    ) -> Option<Arc<Self>> {
        let data = serde_json::value::to_raw_value(arguments).ok()?;
        Some(Self::with(event, data, true, event, None))
    }

    fn with(
        event: &str,
        data: Box<RawValue>,
        several: bool,
        label: &'static str,
        offset: Option<Box<str>>,
    ) -> Arc<Self> {
        let (frames, with_offset) = (ByNamespace::default(), ByNamespace::default());
        Arc::new(Self { event: event.into(), label, data, several, offset, frames, with_offset })
    }

    /// The event's name.
    #[must_use]
    pub fn event(&self) -> &str {
        &self.event
    }

    /// The name under which it is counted.
    pub(super) fn label(&self) -> &'static str {
        self.label
    }

    /// Whether the data is a list of arguments.
    #[must_use]
    pub fn is_several(&self) -> bool {
        self.several
    }

    /// The arguments behind the name, without the list around them; empty where there is none.
    fn arguments(&self) -> &str {
        let data = self.data.get();
        let list = Some(data).filter(|_| self.several);
        let list = list.and_then(|list| list.strip_prefix('[')?.strip_suffix(']'));
        list.map_or(data, str::trim)
    }

    /// The event's data, as JSON.
    #[must_use]
    pub fn data(&self) -> &RawValue {
        &self.data
    }

    /// The websocket frame for a namespace.
    pub(super) fn frame(&self, namespace: Namespace) -> &Bytes {
        self.frames[namespace].get_or_init(|| self.framed(namespace, ""))
    }

    /// The same for who may be told an offset, as one more argument. They take a text at the end for
    /// one, so where there is none nothing else of that kind is last.
    pub(super) fn frame_for(&self, namespace: Namespace, recovers: bool) -> &Bytes {
        let arguments = self.arguments();
        let ends_in_text = arguments.is_empty() || arguments.ends_with('"');
        if !recovers || (self.offset.is_none() && !ends_in_text) {
            return self.frame(namespace);
        }
        self.with_offset[namespace].get_or_init(|| match &self.offset {
            Some(offset) => self.framed(namespace, &format!(",\"{offset}\"")),
            None => self.framed(namespace, ",null"),
        })
    }

    fn framed(&self, namespace: Namespace, last: &str) -> Bytes {
        let event = escaped(&self.event);
        let arguments = self.arguments();
        let comma = if arguments.is_empty() { "" } else { "," };
        let prefix = prefix(namespace, Kind::Event);
        text(&[prefix, "[\"", &event, "\"", comma, arguments, last, "]"])
    }
}

/// A name between the quotes of JSON. It has no control characters.
fn escaped(name: &str) -> Cow<'_, str> {
    if name.contains(['"', '\\']) {
        name.replace('\\', r"\\").replace('"', "\\\"").into()
    } else {
        name.into()
    }
}

/// The frame of an acknowledgement.
pub(super) fn ack(namespace: Namespace, id: i64, data: &str) -> Bytes {
    text(&[prefix(namespace, Kind::Ack), &id.to_string(), "[", data, "]"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_read_back_whole() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload = "x".repeat(length);
            let frame = text(&[&payload]);
            let (read, end) = first(&frame).expect("a whole frame");
            assert_eq!((read.len(), end), (length, frame.len()));
            assert!(first(&frame[..frame.len() - 1]).is_none(), "cut at {length}");
        }
    }

    #[test]
    fn an_event_is_framed_once_for_each_namespace() {
        let data = RawValue::from_string("{\"a\":1}".into()).expect("json");
        let event = Outgoing::named(&EventName::new("x:y").expect("a name"), data, false, "other");
        assert_eq!(&event.frame(Namespace::Root)[2..], br#"42["x:y",{"a":1}]"#);
        assert_eq!(&event.frame(Namespace::Chat)[2..], br#"42/chat,["x:y",{"a":1}]"#);
        let quoted = EventName::new("a \"b\\c\"").expect("a name");
        let quoted = Outgoing::named(&quoted, RawValue::NULL.to_owned(), false, "other");
        assert_eq!(&quoted.frame(Namespace::Root)[2..], br#"42["a \"b\\c\"",null]"#);
        for (list, written) in [
            ("[]", r#"42["x:y"]"#),
            ("[ ]", r#"42["x:y"]"#),
            (r#"[1, [2],"]"]"#, r#"42["x:y",1, [2],"]"]"#),
            ("[[]]", r#"42["x:y",[]]"#),
        ] {
            let list = RawValue::from_string(list.to_owned()).expect("json");
            let name = EventName::new("x:y").expect("a name");
            let event = Outgoing::named(&name, list, true, "other");
            assert_eq!(&event.frame(Namespace::Root)[2..], written.as_bytes());
        }
        let (first, again) = (event.frame(Namespace::Chat), event.frame(Namespace::Chat));
        assert_eq!(first.as_ptr(), again.as_ptr());
        assert_eq!(&ack(Namespace::Root, 7, "{}")[2..], b"437[{}]");
        assert_eq!(&ack(Namespace::Marketplace, 7, "1")[2..], b"43/marketplace,7[1]");
    }

    #[test]
    fn an_offset_is_the_last_argument_and_nothing_else_is_taken_for_one() {
        let event = |list: &str, offset: Option<&Reach>| {
            let name = EventName::new("x").expect("a name");
            let list = RawValue::from_string(list.to_owned()).expect("json");
            match offset {
                Some(offset) => Outgoing::kept(&name, list, true, "other", offset),
                None => Outgoing::named(&name, list, true, "other"),
            }
        };
        let offset = Reach::without(40, [38]);
        for (list, offset, written) in [
            ("[]", Some(&offset), r#"42["x","14-2"]"#),
            ("[1]", Some(&offset), r#"42["x",1,"14-2"]"#),
            (r#"["a"]"#, Some(&offset), r#"42["x","a","14-2"]"#),
            ("[]", None, r#"42["x",null]"#),
            (r#"[1,"a"]"#, None, r#"42["x",1,"a",null]"#),
            (r#"[{"a":"b"}]"#, None, r#"42["x",{"a":"b"}]"#),
        ] {
            let event = event(list, offset);
            assert_eq!(&event.frame_for(Namespace::Root, true)[2..], written.as_bytes());
            let plain = event.frame(Namespace::Root);
            assert_eq!(event.frame_for(Namespace::Root, false).as_ptr(), plain.as_ptr());
        }
    }

    #[test]
    fn who_connects_is_answered_in_the_words_of_its_version() {
        let id = Uuid::from_u128(7);
        for (frame, written) in [
            (
                text(&[&connected(Namespace::Root, id, None, false)]),
                r#"40{"sid":"00000000-0000-0000-0000-000000000007"}"#,
            ),
            (
                text(&[&connected(Namespace::Chat, id, None, false)]),
                r#"40/chat,{"sid":"00000000-0000-0000-0000-000000000007"}"#,
            ),
            (
                text(&[&connected(Namespace::Root, id, Some("p"), false)]),
                r#"40{"sid":"00000000-0000-0000-0000-000000000007","pid":"p"}"#,
            ),
            (text(&[&connected(Namespace::Root, id, None, true)]), "40"),
            (text(&[&connected(Namespace::Chat, id, None, true)]), "40/chat"),
            (refused("/", "no \"x\"", false), r#"44{"message":"no \"x\""}"#),
            (refused("/x", "no", false), r#"44/x,{"message":"no"}"#),
            (refused("/", "no", true), r#"44"no""#),
            (refused("/x", "no", true), r#"44/x,"no""#),
        ] {
            assert_eq!(first(&frame).map(|(payload, _)| payload), Some(written.as_bytes()));
        }
    }
}
