//! Packets of Socket.IO (protocol 5, and 4 of 2.x clients, which write them alike).

/// What a packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    Refusal,
}

/// A packet without the bytes that come beside it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) kind: Kind,
    /// How many binary packets belong to it.
    pub(super) attachments: u32,
    pub(super) namespace: &'a str,
    /// Asks for an acknowledgement, or is one.
    pub(super) id: Option<u64>,
    /// JSON, or nothing.
    pub(super) data: &'a str,
}

impl<'a> Packet<'a> {
    /// Reads a packet; none where the text is none.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let (kind, rest) = text.split_at_checked(1)?;
        let (kind, is_binary) = match kind {
            "0" => (Kind::Connect, false),
            "1" => (Kind::Disconnect, false),
            "2" => (Kind::Event, false),
            "3" => (Kind::Ack, false),
            "4" => (Kind::Refusal, false),
            "5" => (Kind::Event, true),
            "6" => (Kind::Ack, true),
            _ => return None,
        };
        let (attachments, rest) = match rest.split_once('-').filter(|_| is_binary) {
            Some((count, rest)) => (count.parse().ok()?, rest),
            None if is_binary => return None,
            None => (0, rest),
        };
        let (namespace, rest) = if rest.starts_with('/') {
            let (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
            // Clients of 2.x write their query behind it.
            (namespace.split('?').next().unwrap_or_default(), rest)
        } else {
            ("/", rest)
        };
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (id, data) = rest.split_at(digits);
        Some(Self { kind, attachments, namespace, id: id.parse().ok(), data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_every_kind_are_read() {
        let read = |text| {
            let packet = Packet::read(text)?;
            let Packet { kind, attachments, namespace, id, data } = packet;
            Some((kind, attachments, namespace, id, data))
        };
        for (text, packet) in [
            ("0", (Kind::Connect, 0, "/", None, "")),
            (r#"0{"token":"x"}"#, (Kind::Connect, 0, "/", None, r#"{"token":"x"}"#)),
            (r#"0/chat,{"token":"x"}"#, (Kind::Connect, 0, "/chat", None, r#"{"token":"x"}"#)),
            ("0/chat?a=b,", (Kind::Connect, 0, "/chat", None, "")),
            ("0/chat", (Kind::Connect, 0, "/chat", None, "")),
            ("1/chat,", (Kind::Disconnect, 0, "/chat", None, "")),
            (r#"2["a",1]"#, (Kind::Event, 0, "/", None, r#"["a",1]"#)),
            (r#"2/chat,13["a"]"#, (Kind::Event, 0, "/chat", Some(13), r#"["a"]"#)),
            ("30[]", (Kind::Ack, 0, "/", Some(0), "[]")),
            (r#"4{"message":"no"}"#, (Kind::Refusal, 0, "/", None, r#"{"message":"no"}"#)),
            (r#"51-/chat,7["a-b"]"#, (Kind::Event, 1, "/chat", Some(7), r#"["a-b"]"#)),
            ("62-1[]", (Kind::Ack, 2, "/", Some(1), "[]")),
        ] {
            assert_eq!(read(text), Some(packet), "{text}");
        }
        for text in ["", "7", "é", "5[]", "5x-[]"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
