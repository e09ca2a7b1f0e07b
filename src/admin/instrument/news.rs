//! What happened to sockets, as events of the Admin UI. Names and arguments are those of its version 0.5,
//! and no token, password or secret of a client's is among them.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use super::documents::{Changed, Data, Socket};
use crate::{
    clock::Timestamp,
    realtime::{Happening, Noted, Outgoing, Watch},
    room::Room,
};

/// Stands for what is not shown.
const HIDDEN: &str = "***";

/// Words in the names of fields whose values are not shown.
const SECRETS: [&str; 6] = ["token", "password", "secret", "authorization", "cookie", "apikey"];

/// What nodes tell each other for their operators.
const TOLD: [&str; 8] = [
    "server_stats",
    "socket_connected",
    "socket_updated",
    "socket_disconnected",
    "room_joined",
    "room_left",
    "event_received",
    "event_sent",
];

/// An event of the UI's.
pub(super) fn event(
    name: &'static str,
    arguments: &(impl Serialize + ?Sized),
) -> Option<Arc<Outgoing>> {
    Outgoing::to_operators(name, arguments)
}

/// One that another node tells; none where it is not known here.
pub(super) fn event_of(name: &str, arguments: &RawValue) -> Option<Arc<Outgoing>> {
    let name = TOLD.into_iter().find(|known| *known == name)?;
    event(name, arguments)
}

/// What is told of something that happened.
pub(super) fn news(noted: Noted, now: Timestamp) -> Vec<Arc<Outgoing>> {
    let Noted { id, namespace, what } = noted;
    let nsp = namespace.path();
    let one = match what {
        Happening::Connected(seen) => event("socket_connected", &(Socket::from(*seen), now)),
        Happening::Disconnected(reason, rooms) => return disconnected(id, nsp, reason, rooms, now),
        Happening::Identified(identity) => {
            let data = Some(Data::from(&*identity));
            event("socket_updated", &[Changed { id, nsp, transport: None, data }])
        }
        Happening::CameOver => {
            let transport = Some("websocket");
            event("socket_updated", &[Changed { id, nsp, transport, data: None }])
        }
        Happening::Joined(room) => event("room_joined", &(nsp, room, id, now)),
        Happening::Left(room) => event("room_left", &(nsp, room, id, now)),
        Happening::Received(list) => {
            serde_json::from_str::<Vec<Value>>(&list).ok().and_then(|mut list| {
                list.iter_mut().for_each(hide);
                event("event_received", &(nsp, id, list, now))
            })
        }
        Happening::Sent(sent) => event("event_sent", &(nsp, id, sent_arguments(&sent), now)),
    };
    one.into_iter().collect()
}

/// The UI takes a socket out of its rooms by what it is told of each.
fn disconnected(
    id: Uuid,
    nsp: &str,
    reason: &str,
    rooms: Vec<Room>,
    now: Timestamp,
) -> Vec<Arc<Outgoing>> {
    let left = |room: String| event("room_left", &(nsp, room, id, now));
    let rooms = rooms.into_iter().map(String::from).chain([id.to_string()]);
    let end = event("socket_disconnected", &(nsp, id, reason, now));
    end.into_iter().chain(rooms.filter_map(left)).collect()
}

/// The name of an event and its arguments, where they are not too long.
fn sent_arguments(sent: &Outgoing) -> Vec<Value> {
    let mut list = vec![Value::from(sent.event())];
    let data = sent.data().get();
    if Watch::shows(data.len()) {
        match serde_json::from_str(data) {
            Ok(Value::Array(arguments)) if sent.is_several() => list.extend(arguments),
            Ok(argument) => list.push(argument),
            Err(_) => {}
        }
    }
    list.iter_mut().for_each(hide);
    list
}

/// Takes secrets out: what stands in a field that is named so, and what looks like a token.
fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.to_ascii_lowercase().replace(['-', '_'], "");
                if SECRETS.iter().any(|secret| name.contains(secret)) {
                    *field = HIDDEN.into();
                } else {
                    hide(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::String(text) if is_token(text) => *value = HIDDEN.into(),
        _ => {}
    }
}

/// Whether a text is a JWT, or a header that bears something.
fn is_token(text: &str) -> bool {
    let is_jwt = text.starts_with("eyJ") && text.split('.').count() == 3;
    is_jwt || text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::Namespace;

    fn told(what: Happening) -> Vec<(String, Value)> {
        let noted = Noted { id: Uuid::nil(), namespace: Namespace::Chat, what };
        let told = news(noted, Timestamp::from_millis(0)).into_iter();
        let read = |event: Arc<Outgoing>| {
            (event.event().to_owned(), serde_json::from_str(event.data().get()).unwrap())
        };
        told.map(read).collect()
    }

    #[test]
    fn who_disconnects_leaves_every_room_after_that() {
        let end = told(Happening::Disconnected("transport close", vec![Room::Sellers]));
        let (id, at) = (Uuid::nil().to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            end,
            [
                ("socket_disconnected".to_owned(), json!(["/chat", id, "transport close", at])),
                ("room_left".to_owned(), json!(["/chat", "sellers", id, at])),
                ("room_left".to_owned(), json!(["/chat", id, id, at])),
            ]
        );
    }

    #[test]
    fn no_secret_of_a_client_is_shown() {
        let list = json!(["x:y", "eyJh.eyJi.c", "Bearer abc", {
            "token": "a", "refresh_token": ["b"], "deep": [{ "X-Api-Key": "c", "text": "d" }],
        }, "a.b.c"]);
        let received = told(Happening::Received(list.to_string().into()));
        let shown = json!(["x:y", HIDDEN, HIDDEN, {
            "token": HIDDEN, "refresh_token": HIDDEN,
            "deep": [{ "X-Api-Key": HIDDEN, "text": "d" }],
        }, "a.b.c"]);
        assert_eq!(received[0].1[2], shown);
    }
}
