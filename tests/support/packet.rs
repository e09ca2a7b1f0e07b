//! Socket.IO packets and Engine.IO polling payloads as text, the way a client reads and writes
//! them: <https://socket.io/docs/v4/socket-io-protocol/>, <https://socket.io/docs/v4/engine-io-protocol/>.

use serde_json::Value;

/// What a server says on one namespace.
#[derive(Clone, Debug, PartialEq)]
pub enum Packet {
    /// CONNECT, with `{sid, …}`; `Null` in protocol 3.
    Connected { namespace: String, data: Value },
    /// `CONNECT_ERROR`: `{message}`; a plain string in protocol 3.
    Refused { namespace: String, error: Value },
    /// DISCONNECT
    Disconnected { namespace: String },
    /// EVENT
    Event { namespace: String, name: String, args: Vec<Value> },
    /// ACK
    Ack { namespace: String, id: u64, args: Vec<Value> },
}

impl Packet {
    /// Reads an Engine.IO message (`4…`); none for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('4')?;
        let (kind, rest) = (text.chars().next()?, &text[1..]);
        let (namespace, rest) = match rest.starts_with('/').then(|| rest.split_once(',')) {
            Some(Some((namespace, rest))) => (namespace, rest),
            Some(None) => (rest, ""),
            None => ("/", rest),
        };
        let namespace = namespace.to_owned();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (id, body) = rest.split_at(digits);
        let data = || if body.is_empty() { Some(Value::Null) } else { parse_json(body) };
        Some(match kind {
            '0' => Self::Connected { namespace, data: data()? },
            '1' => Self::Disconnected { namespace },
            '2' => {
                let Some(Value::Array(mut args)) = data() else { return None };
                let Value::String(name) = args.remove(0) else { return None };
                Self::Event { namespace, name, args }
            }
            '3' => {
                let Some(Value::Array(args)) = data() else { return None };
                Self::Ack { namespace, id: id.parse().ok()?, args }
            }
            '4' => Self::Refused { namespace, error: data()? },
            _ => return None,
        })
    }
}

fn parse_json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// `/chat,`, and nothing for `/`.
fn prefix(namespace: &str) -> String {
    if namespace == "/" { String::new() } else { format!("{namespace},") }
}

/// CONNECT with the auth object.
pub fn connect(namespace: &str, auth: &Value) -> String {
    let auth = if auth.is_null() { String::new() } else { auth.to_string() };
    format!("40{}{auth}", prefix(namespace))
}

/// DISCONNECT.
pub fn disconnect(namespace: &str) -> String {
    format!("41{}", prefix(namespace))
}

/// EVENT with one argument; with an id it asks for an acknowledgement.
pub fn event(namespace: &str, id: Option<u64>, name: &str, argument: &Value) -> String {
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    format!("42{}{id}{}", prefix(namespace), serde_json::json!([name, argument]))
}

/// The packets of a polling body: separated in protocol 4, length-prefixed in 3.
pub fn split(protocol: u8, body: &str) -> Vec<String> {
    if protocol == 4 {
        return body.split('\x1e').map(str::to_owned).collect();
    }
    let mut units: Vec<u16> = body.encode_utf16().collect();
    let mut packets = Vec::new();
    while let Some(colon) = units.iter().position(|unit| *unit == u16::from(b':')) {
        let length: usize = String::from_utf16_lossy(&units[..colon]).parse().expect("a length");
        let rest = units.split_off(colon + 1);
        assert!(rest.len() >= length, "a payload that ends within its packet: {body}");
        packets.push(String::from_utf16_lossy(&rest[..length]));
        units = rest[length..].to_vec();
    }
    assert!(units.is_empty(), "a payload with a rest: {body}");
    packets
}

/// A polling body with one packet.
pub fn payload(protocol: u8, packet: &str) -> String {
    match protocol {
        4 => packet.to_owned(),
        _ => format!("{}:{packet}", packet.encode_utf16().count()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn packets_are_read_with_and_without_namespace_and_id() {
        let event = |namespace: &str, args: Value| Packet::Event {
            namespace: namespace.into(),
            name: "a".into(),
            args: args.as_array().cloned().unwrap(),
        };
        assert_eq!(Packet::parse(r#"42["a",1,"/,"]"#), Some(event("/", json!([1, "/,"]))));
        assert_eq!(Packet::parse(r#"42/chat,7["a"]"#), Some(event("/chat", json!([]))));
        let ack = Packet::Ack { namespace: "/".into(), id: 12, args: vec![json!({"x": 1})] };
        assert_eq!(Packet::parse(r#"4312[{"x":1}]"#), Some(ack));
        let connected = |ns: &str, data| Packet::Connected { namespace: ns.into(), data };
        assert_eq!(Packet::parse("40"), Some(connected("/", Value::Null)));
        assert_eq!(
            Packet::parse(r#"40/chat,{"sid":"s"}"#),
            Some(connected("/chat", json!({"sid": "s"})))
        );
        assert_eq!(Packet::parse("2"), None);
    }

    #[test]
    fn polling_payloads_of_both_protocols_are_split() {
        assert_eq!(split(4, "0{}\x1e40"), ["0{}", "40"]);
        assert_eq!(split(3, "3:0{}2:40"), ["0{}", "40"]);
        assert_eq!(split(3, &payload(3, "42[\"é😀\"]")), ["42[\"é😀\"]"]);
    }
}
