//! `@socket.io/redis-emitter` of Node: events as `MessagePack` on `<key>#<namespace>#[<room>#]`, commands as
//! JSON on `<key>-request#<namespace>#`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    message::{Asked, Names, Refusal, arguments, beginning, event_name, target},
    msgpack,
    rights::Rights,
};
use crate::{
    control::{SocketsCommand, Wanted},
    id::Ids,
    realtime::ExternalEvent,
    text::well_formed,
};

/// What emitters call themselves; servers have names of their own.
const EMITTER: &str = "emitter";

/// The types of a packet that has an event in it.
const EVENTS: [u64; 2] = [2, 5];

/// `[uid, packet, opts]`
#[derive(Deserialize)]
struct Broadcast(String, Packet, #[serde(default)] Options);

#[derive(Deserialize)]
struct Packet {
    r#type: u64,
    data: Vec<Box<RawValue>>,
    #[serde(default)]
    nsp: Option<String>,
}

#[derive(Default, Deserialize)]
struct Options {
    #[serde(default)]
    rooms: Names,
    #[serde(default)]
    except: Names,
    #[serde(default)]
    flags: Option<Flags>,
}

#[derive(Deserialize)]
struct Flags {
    #[serde(default)]
    volatile: Option<bool>,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    uid: Option<String>,
    r#type: u64,
    #[serde(default)]
    opts: Option<Options>,
    #[serde(default)]
    rooms: Names,
}

/// An event.
///
/// # Errors
/// Why it is not sent.
pub(super) fn broadcast(payload: &[u8], rights: &Rights) -> Result<Asked, Refusal> {
    let json = msgpack::to_json(payload)?;
    rights.size(json.len())?;
    let Broadcast(uid, packet, options) = serde_json::from_str(&json)?;
    if uid != EMITTER {
        return Err(Refusal::Servers);
    }
    let namespace = rights.namespace(packet.nsp.as_deref().unwrap_or("/"))?;
    if !EVENTS.contains(&packet.r#type) {
        return Err(Refusal::Unreadable("its packet has no event".to_owned()));
    }
    let mut data = packet.data.iter().map(AsRef::as_ref);
    let name = data.next().ok_or_else(|| Refusal::Unreadable("its event has no name".into()))?;
    let name: String = serde_json::from_str(name.get())?;
    let event = event_name(&name)?;
    rights.event(&event)?;
    let to = target(options.rooms, options.except)?;
    let (data, several) = arguments(&data.collect::<Vec<_>>())?;
    let volatile = options.flags.and_then(|flags| flags.volatile).unwrap_or_default();
    let (id, namespace) = (Ids.next(), Some(namespace));
    Ok(Asked::Emit(ExternalEvent { id, to, event, data, several, namespace, volatile }))
}

/// A command. `channel` is what follows the request channels' common beginning: the namespace, and `#`.
///
/// # Errors
/// Why it is not done.
pub(super) fn request(channel: &str, payload: &[u8], rights: &Rights) -> Result<Asked, Refusal> {
    let request = if payload.first() == Some(&b'{') {
        serde_json::from_slice(&well_formed(payload))?
    } else {
        serde_json::from_str(&msgpack::to_json(payload)?)?
    };
    let Request { uid, r#type: kind, opts, rooms } = request;
    // Those of servers name who asks, and have a type of their own but for some.
    if uid.is_some_and(|uid| uid != EMITTER) || ![2, 3, 4, 6].contains(&kind) {
        return Err(Refusal::Servers);
    }
    let namespace = channel.strip_suffix('#').unwrap_or(channel);
    let namespace = rights.namespace(&beginning(namespace))?;
    let wanted = match kind {
        2 => Wanted::Join { rooms: rooms.rooms()? },
        3 => Wanted::Leave { rooms: rooms.rooms()? },
        4 => Wanted::Disconnect,
        _ => return Err(Refusal::NotHere("serverSideEmit")),
    };
    rights.commands()?;
    let Options { rooms, except, .. } = opts.unwrap_or_default();
    let to = target(rooms, except)?;
    Ok(Asked::Command(SocketsCommand { to, namespace: Some(namespace), wanted }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights() -> Rights {
        Rights::of(&["/", "/chat"], &["*"])
    }

    fn of(payload: &str) -> Result<Asked, Refusal> {
        broadcast(&hex::decode(payload.replace(' ', "")).unwrap(), &rights())
    }

    fn shown(asked: Result<Asked, Refusal>) -> String {
        match asked {
            Ok(Asked::Emit(emit)) => {
                let to = serde_json::to_string(&emit.to).unwrap();
                let namespace = emit.namespace.unwrap().path();
                let (event, data) = (emit.event.as_str(), emit.data.get());
                let several = if emit.several { "all of " } else { "" };
                let volatile = if emit.volatile { " volatile" } else { "" };
                format!("{namespace} {to} {event}: {several}{data}{volatile}")
            }
            Ok(Asked::Command(command)) => serde_json::to_string(&command).unwrap(),
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn what_the_emitter_publishes_is_what_its_caller_meant() {
        // By @socket.io/redis-emitter 5.1.0.
        for (payload, expected) in [
            (
                // emit("hi", {a: 1})
                "93 a7656d6974746572 83 a47479706502 a464617461 92 a26869 81a16101 a36e7370 a12f \
                 83 a5726f6f6d7390 a5666c61677380 a665786365707490",
                r#"/ "everyone" hi: {"a":1}"#,
            ),
            (
                // to("room1").emit("hi")
                "93a7656d697474657283a47479706502a46461746191a26869a36e7370a12f83a5726f6f6d7391a5726f6f6d3\
                 1a5666c61677380a665786365707490",
                r#"/ {"rooms":["room1"]} hi: all of []"#,
            ),
            (
                // to(["a", "b"]).except("c").volatile.compress(false).emit("x", 1.5, null, "é")
                "93a7656d697474657283a47479706502a46461746194a178cb3ff8000000000000c0a2c3a9a36e7370a12f83a\
                 5726f6f6d7392a161a162a5666c61677382a8766f6c6174696c65c3a8636f6d7072657373c2a6657863657074\
                 91a163",
                r#"/ {"rooms":["a","b"],"except":["c"]} x: all of [1.5,null,"é"] volatile"#,
            ),
            (
                // The same with Buffer.from([1, 2]) before 1.5.
                "93a7656d697474657283a47479706502a46461746195a178c4020102cb3ff8000000000000c0a2c3a9a36e737\
                 0a12f83a5726f6f6d7392a161a162a5666c61677382a8766f6c6174696c65c3a8636f6d7072657373c2a66578\
                 6365707491a163",
                "it has binary data",
            ),
            (
                // Without a namespace, and but for "c"
                "93 a7656d6974746572 82 a47479706502 a46461746191a26869 81 a665786365707491a163",
                r#"/ {"except":["c"]} hi: all of []"#,
            ),
        ] {
            assert_eq!(shown(of(payload)), expected);
        }
    }

    /// A message as its emitter would write this JSON.
    fn written(json: &str) -> Vec<u8> {
        fn value(json: &serde_json::Value) -> rmpv::Value {
            match json {
                serde_json::Value::Null => rmpv::Value::Nil,
                serde_json::Value::Bool(is_true) => (*is_true).into(),
                serde_json::Value::Number(number) => number.as_u64().unwrap().into(),
                serde_json::Value::String(text) => text.as_str().into(),
                serde_json::Value::Array(items) => items.iter().map(value).collect(),
                serde_json::Value::Object(fields) => rmpv::Value::Map(
                    fields.iter().map(|(key, field)| (key.as_str().into(), value(field))).collect(),
                ),
            }
        }
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &value(&serde_json::from_str(json).unwrap()))
            .unwrap();
        bytes
    }

    #[test]
    fn what_is_not_allowed_or_none_is_passed_over() {
        let rooms = (0..=1000).map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(",");
        for (message, expected) in [
            (r#"["Ab3dE6", {"type": 2, "data": ["hi"], "nsp": "/"}, {}]"#, "it is a server's"),
            (
                r#"["emitter", {"type": 2, "data": ["hi"], "nsp": "/marketplace"}, {}]"#,
                "bridge.names",
            ),
            (
                r#"["emitter", {"type": 2, "data": ["hi"], "nsp": "/x"}, {}]"#,
                "bridge.namespaces does",
            ),
            (
                r#"["emitter", {"type": 2, "data": ["secret"], "nsp": "/"}, {}]"#,
                "bridge.events does",
            ),
            (
                r#"["emitter", {"type": 2, "data": ["disconnect"]}, {}]"#,
                "\"disconnect\" is no event's",
            ),
            (
                r#"["emitter", {"type": 2, "data": ["hi"]}, {"rooms": ["a room"]}]"#,
                "\"a room\" is no",
            ),
            (r#"["emitter", {"type": 2, "data": ["hi"]}, {"except": [7]}]"#, "7 is no room's name"),
            (r#"["emitter", {"type": 3, "data": ["hi"]}, {}]"#, "it can't be read"),
            (r#"["emitter", {"type": 2, "data": []}, {}]"#, "it can't be read"),
            (r#"["emitter", {"type": 2, "data": [1]}, {}]"#, "it can't be read"),
            (r#"["emitter", {"type": 2, "data": {}}, {}]"#, "it can't be read"),
            (r#"["emitter"]"#, "it can't be read"),
            (r#"{"type": 2}"#, "it can't be read"),
            (
                &format!(r#"["emitter", {{"type": 2, "data": ["hi"]}}, {{"rooms": [{rooms}]}}]"#),
                "it is too large: it has more than 1000 rooms",
            ),
            (
                &format!(r#"["emitter", {{"type": 2, "data": ["hi"{}]}}, {{}}]"#, ",1".repeat(101)),
                "it is too large: it has more than 100 arguments",
            ),
            (
                &format!(
                    r#"["emitter", {{"type": 2, "data": ["hi", "{}"]}}, {{}}]"#,
                    "x".repeat(20_000)
                ),
                "it is too large: MAX_PAYLOAD",
            ),
        ] {
            let rights = Rights::of(&["/", "/chat"], &["hi", "x*"]);
            let said = shown(broadcast(&written(message), &rights));
            assert!(said.starts_with(expected), "{message}: {said}");
        }
    }

    #[test]
    fn commands_are_those_of_the_emitter_alone() {
        for (channel, message, expected) in [
            (
                "/#",
                r#"{"type":2,"opts":{"rooms":["room1"],"except":[]},"rooms":["vip"]}"#,
                r#"{"to":{"rooms":["room1"]},"namespace":"/","wanted":{"join":{"rooms":["vip"]}}}"#,
            ),
            (
                "/chat#",
                r#"{"type":3,"opts":{"rooms":["room1"],"except":["a"]},"rooms":["vip"]}"#,
                r#"{"to":{"rooms":["room1"],"except":["a"]},"namespace":"/chat","wanted":{"leave":{"rooms":["vip"]}}}"#,
            ),
            (
                "/#",
                r#"{"type":4,"opts":{"rooms":[],"except":["b"]},"close":true}"#,
                r#"{"to":{"except":["b"]},"namespace":"/","wanted":"disconnect"}"#,
            ),
            (
                "/#",
                r#"{"uid":"emitter","type":6,"data":["ev",1]}"#,
                "serverSideEmit is not done here",
            ),
            ("/x#", r#"{"type":4,"opts":{"rooms":[],"except":[]}}"#, "bridge.namespaces does not"),
            ("/#", r#"{"uid":"Ab3dE6","requestId":"1","type":5}"#, "it is a server's"),
            ("/#", r#"{"uid":"Ab3dE6","type":4,"opts":{"rooms":["a"]}}"#, "it is a server's"),
            ("/#", r#"{"requestId":"1","type":1}"#, "it is a server's"),
            ("/#", r#"{"type":2,"rooms":["a room"]}"#, "\"a room\" is no room's name"),
            ("/#", "{", "it can't be read"),
            ("/#", "", "it can't be read"),
        ] {
            let said = shown(request(channel, message.as_bytes(), &rights()));
            assert!(said.starts_with(expected), "{message}: {said}");
        }
        let msgpack = written(r#"{"type":4,"opts":{"rooms":["a"]}}"#);
        assert!(request("/#", &msgpack, &rights()).is_ok());
        let mut alone = rights();
        alone.commands = false;
        let said = shown(request("/#", br#"{"type":4,"opts":{"rooms":["a"]}}"#, &alone));
        assert_eq!(said, "bridge.commands is off");
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let good = written(
            r#"["emitter", {"type": 2, "data": ["hi", {"a": [1, null]}]}, {"rooms": ["a"]}]"#,
        );
        for at in 0..good.len() {
            let _ = of(&hex::encode(&good[..at]));
            for byte in 0..=u8::MAX {
                let mut bad = good.clone();
                bad[at] = byte;
                let _ = broadcast(&bad, &rights());
                let _ = request("/#", &bad, &rights());
            }
        }
    }
}
