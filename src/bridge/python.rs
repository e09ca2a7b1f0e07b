//! The managers of python-socketio: JSON on one channel. Those before 5.14 write pickle, which is code and
//! is never read.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    message::{Asked, Names, Refusal, arguments, event_name, target},
    rights::Rights,
};
use crate::{
    control::{SocketsCommand, Wanted},
    id::Ids,
    realtime::{ExternalEvent, Target},
    text::well_formed,
};

/// How pickle begins (`\x80`, its protocol), which Python writes where it is not told otherwise.
const PICKLE: u8 = 0x80;

#[derive(Deserialize)]
struct Message {
    method: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    data: Option<Box<RawValue>>,
    /// Whether bytes were taken out of the data, which is a list of arguments then, as where there were
    /// none. The first versions that write JSON do not say; theirs is one argument.
    #[serde(default)]
    binary: Option<bool>,
    #[serde(default)]
    room: Names,
    #[serde(default)]
    skip_sid: Names,
    #[serde(default)]
    sid: Names,
    #[serde(default)]
    callback: Option<Box<RawValue>>,
}

/// An event or a command.
///
/// # Errors
/// Why it is not sent, or not done.
pub(super) fn message(payload: &[u8], rights: &Rights) -> Result<Asked, Refusal> {
    if payload.first() == Some(&PICKLE) {
        return Err(Refusal::Unreadable("it is pickle; python-socketio 5.14 writes JSON".into()));
    }
    let message: Message = serde_json::from_slice(&well_formed(payload))?;
    let namespace = message.namespace.as_deref().unwrap_or("/");
    let namespace = rights.namespace(namespace)?;
    let Message { room, sid, .. } = message;
    let (whom, wanted) = match message.method.as_str() {
        "emit" => {
            let to = target(room, message.skip_sid)?;
            let event = message.event.as_deref();
            let event = event.ok_or_else(|| Refusal::Unreadable("it has no event".into()))?;
            let event = event_name(event)?;
            rights.event(&event)?;
            if message.callback.is_some_and(|callback| callback.get() != "null") {
                return Err(Refusal::NotHere("an acknowledgement for a server"));
            }
            let (data, several) = data(message.data, message.binary)?;
            let (id, namespace, volatile) = (Ids.next(), Some(namespace), false);
            let emit = ExternalEvent { id, to, event, data, several, namespace, volatile };
            return Ok(Asked::Emit(emit));
        }
        "enter_room" => (sid.rooms()?, Wanted::Join { rooms: room.rooms()? }),
        "leave_room" => (sid.rooms()?, Wanted::Leave { rooms: room.rooms()? }),
        "disconnect" => (sid.rooms()?, Wanted::Disconnect),
        "close_room" => {
            let rooms = room.rooms()?;
            (rooms.clone(), Wanted::Leave { rooms })
        }
        "callback" => return Err(Refusal::NotHere("an acknowledgement for a server")),
        _ => return Err(Refusal::Unreadable("its method is not known".to_owned())),
    };
    rights.commands()?;
    if whom.is_empty() {
        // Of all sockets there is no such command.
        return Err(Refusal::Unreadable("it names no socket".to_owned()));
    }
    let to = Target::Rooms { rooms: whom, except: Vec::new() };
    Ok(Asked::Command(SocketsCommand { to, namespace: Some(namespace), wanted }))
}

/// What is sent, as a client of Python's server would get it: `None` is no argument.
fn data(
    data: Option<Box<RawValue>>,
    binary: Option<bool>,
) -> Result<(Box<RawValue>, bool), Refusal> {
    let data = data.unwrap_or_else(|| RawValue::NULL.to_owned());
    let list: Vec<Box<RawValue>> = match binary {
        Some(true) => return Err(Refusal::Binary),
        Some(false) => serde_json::from_str(data.get())?,
        None => vec![data],
    };
    match list.as_slice() {
        [none] if none.get() == "null" => arguments(&[]),
        list => arguments(&list.iter().map(AsRef::as_ref).collect::<Vec<_>>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(message: &str) -> String {
        match super::message(message.as_bytes(), &Rights::of(&["/", "/chat"], &["hi"])) {
            Ok(Asked::Emit(emit)) => {
                let to = serde_json::to_string(&emit.to).unwrap();
                let several = if emit.several { "all of " } else { "" };
                format!("{} {to}: {several}{}", emit.namespace.unwrap().path(), emit.data.get())
            }
            Ok(Asked::Command(command)) => serde_json::to_string(&command).unwrap(),
            Err(refusal) => refusal.to_string(),
        }
    }

    fn emit(fields: &str) -> String {
        shown(&format!(r#"{{"method": "emit", "event": "hi", {fields}, "host_id": "ab12"}}"#))
    }

    #[test]
    fn what_a_manager_publishes_is_what_its_caller_meant() {
        // By python-socketio 5.18.1.
        let rest = r#""namespace": "/", "skip_sid": null, "callback": null"#;
        for (fields, expected) in [
            (r#""data": [{"a": 1}], "binary": false, "room": null"#, r#"/ "everyone": {"a": 1}"#),
            (r#""data": [null], "binary": false, "room": null"#, r#"/ "everyone": all of []"#),
            (r#""data": [], "binary": false, "room": null"#, r#"/ "everyone": all of []"#),
            (r#""data": [[1, 2]], "binary": false, "room": "r""#, r#"/ {"rooms":["r"]}: [1, 2]"#),
            (
                r#""data": [1, 2], "binary": false, "room": ["r", "s"]"#,
                r#"/ {"rooms":["r","s"]}: all of [1,2]"#,
            ),
            (r#""data": ["\ud83d"], "binary": false, "room": null"#, r#"/ "everyone": "\ufffd""#),
            (
                r#""data": [{"_placeholder": true, "num": 0}, "AQI="], "binary": true, "room": null"#,
                "it has binary data",
            ),
            // By 5.14.0.
            (r#""data": [1, 2], "room": "r""#, r#"/ {"rooms":["r"]}: [1, 2]"#),
            (r#""data": "x", "room": "r""#, r#"/ {"rooms":["r"]}: "x""#),
            (r#""data": null, "room": "r""#, r#"/ {"rooms":["r"]}: all of []"#),
        ] {
            assert_eq!(emit(&format!("{fields}, {rest}")), expected, "{fields}");
        }
        for (fields, expected) in [
            (r#""skip_sid": "s1", "data": [1], "binary": false"#, r#"/ {"except":["s1"]}: 1"#),
            (
                r#""room": "r", "skip_sid": ["s1"], "namespace": "/chat", "data": 1"#,
                r#"/chat {"rooms":["r"],"except":["s1"]}: 1"#,
            ),
        ] {
            assert_eq!(emit(fields), expected, "{fields}");
        }
    }

    #[test]
    fn commands_name_who_is_meant() {
        for (message, expected) in [
            (
                r#"{"method": "enter_room", "sid": "s1", "room": "vip", "namespace": "/"}"#,
                r#"{"to":{"rooms":["s1"]},"namespace":"/","wanted":{"join":{"rooms":["vip"]}}}"#,
            ),
            (
                r#"{"method": "leave_room", "sid": "s1", "room": "vip", "namespace": "/chat"}"#,
                r#"{"to":{"rooms":["s1"]},"namespace":"/chat","wanted":{"leave":{"rooms":["vip"]}}}"#,
            ),
            (
                r#"{"method": "close_room", "room": "vip", "namespace": "/"}"#,
                r#"{"to":{"rooms":["vip"]},"namespace":"/","wanted":{"leave":{"rooms":["vip"]}}}"#,
            ),
            (
                r#"{"method": "disconnect", "sid": "s1", "namespace": "/"}"#,
                r#"{"to":{"rooms":["s1"]},"namespace":"/","wanted":"disconnect"}"#,
            ),
            (
                r#"{"method": "disconnect", "namespace": "/"}"#,
                "it can't be read: it names no socket",
            ),
            (r#"{"method": "close_room", "room": null}"#, "it can't be read: it names no socket"),
        ] {
            assert_eq!(shown(message), expected, "{message}");
        }
    }

    #[test]
    fn what_is_not_allowed_or_none_is_passed_over() {
        for (message, expected) in [
            (r#"{"method": "emit", "event": "hi", "namespace": "/x"}"#, "bridge.namespaces does"),
            (r#"{"method": "emit", "event": "other"}"#, "bridge.events does not have \"other\""),
            (r#"{"method": "emit", "event": "connect"}"#, "\"connect\" is no event's name"),
            (r#"{"method": "emit", "event": "hi", "room": 7}"#, "7 is no room's name"),
            (
                r#"{"method": "emit", "event": "hi", "callback": ["r", "/", 1]}"#,
                "an acknowledgement",
            ),
            (r#"{"method": "callback", "sid": "s", "id": 1, "args": []}"#, "an acknowledgement"),
            (r#"{"method": "emit", "event": 1}"#, "it can't be read"),
            (r#"{"method": "emit"}"#, "it can't be read"),
            (r#"{"method": "fly"}"#, "it can't be read"),
            (
                r#"{"method": "emit", "event": "hi", "data": 1, "binary": false}"#,
                "it can't be read",
            ),
            ("[]", "it can't be read"),
            ("", "it can't be read"),
        ] {
            let said = shown(message);
            assert!(said.starts_with(expected), "{message}: {said}");
        }
        let pickle = super::message(b"\x80\x04\x95", &Rights::of(&["/"], &["*"])).unwrap_err();
        assert!(pickle.to_string().contains("pickle"), "{pickle}");
    }
}
