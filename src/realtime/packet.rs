//! The packets of a websocket, taken apart: Engine.IO's (protocol v4, "Packet types", and v3) and in its
//! messages Socket.IO's (protocol v5, "Packet encoding").

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// What a client may call a namespace, at most: ours are shorter, and a refusal quotes it.
pub(super) const LONGEST_NAMESPACE: usize = 128;

/// What no client of Socket.IO sends: Node's server closes the connection over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A packet of Engine.IO's, from a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    Close,
    Ping(&'a str),
    Pong,
    Message(&'a str),
    /// An attachment that came as base64.
    Binary(Vec<u8>),
    /// The polling session is to come over.
    Upgrade,
    /// Nothing is meant by it.
    Noop,
}

impl<'a> Packet<'a> {
    pub(super) fn read(text: &'a str, v3: bool) -> Result<Self, Malformed> {
        let (kind, data) = text.split_at_checked(1).ok_or(Malformed)?;
        match kind {
            "1" => Ok(Self::Close),
            "2" => Ok(Self::Ping(data)),
            "3" => Ok(Self::Pong),
            "4" => Ok(Self::Message(data)),
            "5" => Ok(Self::Upgrade),
            "0" | "6" => Ok(Self::Noop),
            "b" => {
                let data = if v3 { data.strip_prefix('4').ok_or(Malformed)? } else { data };
                STANDARD.decode(data).map(Self::Binary).map_err(|_| Malformed)
            }
            _ => Err(Malformed),
        }
    }
}

/// The data of a binary frame: version 3 has its type before it.
pub(super) fn attachment(frame: &[u8], v3: bool) -> Result<&[u8], Malformed> {
    match frame {
        [4, data @ ..] if v3 => Ok(data),
        _ if v3 => Err(Malformed),
        data => Ok(data),
    }
}

/// A message of Socket.IO's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// The namespace as the client named it, without a query.
    pub(super) namespace: &'a str,
    pub(super) kind: Kind<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// With what the client says of itself, as JSON.
    Connect(Option<&'a str>),
    Disconnect,
    /// Its name and arguments as a list, as JSON, and the id of its callback.
    Event {
        arguments: &'a str,
        ack: Option<i64>,
        /// How many attachments follow.
        attachments: usize,
    },
    /// The answer to something that this server does not ask, and how many attachments follow.
    Answer {
        attachments: usize,
    },
}

impl<'a> Message<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, Malformed> {
        let (kind, rest) = text.split_at_checked(1).ok_or(Malformed)?;
        let (attachments, rest) = match kind {
            "5" | "6" => {
                let (count, rest) = rest.split_once('-').ok_or(Malformed)?;
                (number(count).ok_or(Malformed)?, rest)
            }
            _ => (0, rest),
        };
        let (namespace, rest) = if rest.starts_with('/') {
            let (path, rest) = rest.split_once(',').unwrap_or((rest, ""));
            (path.split_once('?').map_or(path, |(path, _query)| path), rest)
        } else {
            ("/", rest)
        };
        if namespace.len() > LONGEST_NAMESPACE {
            return Err(Malformed);
        }
        let kind = match kind {
            "0" => Kind::Connect(Some(rest).filter(|auth| !auth.is_empty())),
            "1" => Kind::Disconnect,
            "2" | "5" => {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                let (id, arguments) = rest.split_at(digits);
                let ack = if id.is_empty() { None } else { Some(number(id).ok_or(Malformed)?) };
                if !arguments.trim_start().starts_with('[') {
                    return Err(Malformed);
                }
                Kind::Event { arguments, ack, attachments }
            }
            "3" | "6" => Kind::Answer { attachments },
            _ => return Err(Malformed),
        };
        Ok(Self { namespace, kind })
    }
}

/// A number in digits alone.
fn number<T: std::str::FromStr>(digits: &str) -> Option<T> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(arguments: &str, ack: Option<i64>, attachments: usize) -> Kind<'_> {
        Kind::Event { arguments, ack, attachments }
    }

    #[test]
    fn packets_of_engine_io_are_told_apart() {
        for (text, packet) in [
            ("1", Packet::Close),
            ("2", Packet::Ping("")),
            ("2probe", Packet::Ping("probe")),
            ("3", Packet::Pong),
            ("42[]", Packet::Message("2[]")),
            ("5", Packet::Upgrade),
            ("6", Packet::Noop),
            ("0{}", Packet::Noop),
            ("bAP8=", Packet::Binary(vec![0, 0xff])),
        ] {
            assert_eq!(Packet::read(text, false), Ok(packet), "{text}");
        }
        assert_eq!(Packet::read("b4AP8=", true), Ok(Packet::Binary(vec![0, 0xff])));
        for bad in ["", "7", "é", "x", "b!"] {
            assert_eq!(Packet::read(bad, false), Err(Malformed), "{bad}");
        }
        assert_eq!(Packet::read("bAP8=", true), Err(Malformed));
        assert_eq!(attachment(&[4, 7], true), Ok(&[7][..]));
        assert_eq!(attachment(&[7], true), Err(Malformed));
        assert_eq!(attachment(&[7], false), Ok(&[7][..]));
    }

    #[test]
    fn messages_of_socket_io_are_told_apart() {
        for (text, namespace, kind) in [
            ("0", "/", Kind::Connect(None)),
            (r#"0{"token":"t"}"#, "/", Kind::Connect(Some(r#"{"token":"t"}"#))),
            ("0/chat", "/chat", Kind::Connect(None)),
            ("0/chat?a=1,2", "/chat", Kind::Connect(Some("2"))),
            (r#"0/chat?a=1,{"a":1}"#, "/chat", Kind::Connect(Some(r#"{"a":1}"#))),
            ("1/chat,", "/chat", Kind::Disconnect),
            (r#"2["a",1]"#, "/", event(r#"["a",1]"#, None, 0)),
            (r#"2/chat,12["a"]"#, "/chat", event(r#"["a"]"#, Some(12), 0)),
            (r#"51-/chat,7["a",{}]"#, "/chat", event(r#"["a",{}]"#, Some(7), 1)),
            (r#"2 ["a"]"#, "/", event(r#" ["a"]"#, None, 0)),
            ("37[]", "/", Kind::Answer { attachments: 0 }),
            ("62-7[]", "/", Kind::Answer { attachments: 2 }),
        ] {
            assert_eq!(Message::read(text), Ok(Message { namespace, kind }), "{text}");
        }
        let long = format!("0/{}", "x".repeat(LONGEST_NAMESPACE));
        for bad in ["", "7", "é", "5[]", "5x-[]", "5-[]", "2", "2{}", "2/chat", "4", &long] {
            assert_eq!(Message::read(bad), Err(Malformed), "{bad}");
        }
        assert_eq!(Message::read("299999999999999999999[]"), Err(Malformed));
    }
}
