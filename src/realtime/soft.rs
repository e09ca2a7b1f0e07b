//! What is not kept, on its way to the sockets of other nodes: a broadcast as another node's emitter
//! reads it. What another node says is read like a client's: its names and rooms are checked again.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use smallvec::SmallVec;

use super::{
    Catalogue,
    frame::Outgoing,
    hub::{Audience, Broadcast, Except, Message},
};
use crate::{
    event::{EventName, Namespaces},
    id::Id,
    room::Room,
};

/// A broadcast between nodes.
#[derive(Serialize, Deserialize)]
pub(super) struct Soft {
    to: To,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    except: Option<But>,
    /// Its namespaces, a bit for each.
    ns: u8,
    /// The event.
    e: EventName,
    /// Its data.
    d: Box<RawValue>,
    /// Whether that is a list of arguments.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    several: bool,
    /// Whether it is dropped for a socket for which bytes wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    vol: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum To {
    Everyone,
    #[serde(untagged)]
    Rooms {
        rooms: Vec<Room>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum But {
    User(Id),
    Rooms(Vec<Room>),
}

impl Soft {
    /// A broadcast as it is told to other nodes, if it is one that they are told of: what is kept they
    /// have from the store, and of a bundle each makes its own.
    pub(super) fn of(broadcast: &Broadcast) -> Option<Box<RawValue>> {
        let Message::One(event) = &broadcast.message else { return None };
        if broadcast.kept.is_some() {
            return None;
        }
        let to = match &broadcast.to {
            Audience::Everyone { .. } => To::Everyone,
            Audience::Rooms(rooms) => To::Rooms { rooms: rooms.to_vec() },
            Audience::Each(_) => return None,
        };
        let except = match &broadcast.except {
            Except::Nobody => None,
            Except::User(user) => Some(But::User(user.clone())),
            Except::Rooms(rooms) => Some(But::Rooms(rooms.clone())),
        };
        let soft = Self {
            to,
            except,
            ns: broadcast.namespaces.bits(),
            e: EventName::new(event.event()).ok()?,
            d: event.data().to_owned(),
            several: event.is_several(),
            vol: broadcast.volatile,
        };
        to_raw_value(&soft).ok()
    }

    /// The broadcast to this node's sockets.
    pub(super) fn broadcast(self, catalogue: &Catalogue) -> Option<Broadcast> {
        let label = catalogue.sent(self.e.as_str()).map_or("other", |event| event.name);
        let to = match self.to {
            To::Everyone => Audience::Everyone { kept_for: Vec::new() },
            To::Rooms { mut rooms } => {
                rooms.sort_unstable();
                Audience::Rooms(SmallVec::from_vec(rooms))
            }
        };
        Some(Broadcast {
            to,
            except: match self.except {
                None => Except::Nobody,
                Some(But::User(user)) => Except::User(user),
                Some(But::Rooms(rooms)) => Except::Rooms(rooms),
            },
            namespaces: Namespaces::from_bits(self.ns)?,
            message: Message::One(Outgoing::named(&self.e, self.d, self.several, label)),
            volatile: self.vol,
            kept: None,
            receipt: None,
            outcome: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        Catalogue::new(&[]).unwrap()
    }

    #[test]
    fn a_broadcast_comes_through_as_it_was() {
        for written in [
            r#"{"to":"everyone","ns":7,"e":"x","d":{"a":1}}"#,
            r#"{"to":{"rooms":["chat-1","x"]},"except":{"user":"ann"},"ns":5,"e":"chat message","d":[1,2],"several":true}"#,
            r#"{"to":{"rooms":["user-a"]},"except":{"rooms":["sellers"]},"ns":1,"e":"x","d":null,"vol":true}"#,
        ] {
            let soft: Soft = serde_json::from_str(written).unwrap();
            let broadcast = soft.broadcast(&catalogue()).unwrap();
            assert_eq!(Soft::of(&broadcast).unwrap().get(), written);
        }
    }

    #[test]
    fn what_no_emitter_would_say_is_not_heard() {
        for bad in [
            r#"{"to":"nobody","ns":7,"e":"x","d":1}"#,
            r#"{"to":{"rooms":["a room"]},"ns":7,"e":"x","d":1}"#,
            r#"{"to":"everyone","ns":7,"e":"disconnect","d":1}"#,
            r#"{"to":"everyone","ns":7,"e":"x"}"#,
        ] {
            assert!(serde_json::from_str::<Soft>(bad).is_err(), "{bad}");
        }
        for ns in [0, 8, 255] {
            let text = format!(r#"{{"to":"everyone","ns":{ns},"e":"x","d":1}}"#);
            let soft: Soft = serde_json::from_str(&text).unwrap();
            assert!(soft.broadcast(&catalogue()).is_none(), "{ns}");
        }
    }
}
