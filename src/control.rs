//! What a process has the others do that work with its store, for connections are theirs: written down
//! with the unit that it follows from, in the order of all events, and done by each before later ones are
//! handed on (docs/operating.md). A process does so for itself where it changes something.

use std::{num::NonZeroU32, sync::Arc};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use crate::{
    event::{EventName, Namespace, as_path},
    id::Id,
    room::Room,
    stream::{CommittedEvent, DomainEvent, Stream, Target, WireEvent},
};

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Control {
    /// A user has lost a right to each of these rooms.
    Evict {
        /// Who.
        user: Id,
        /// Where.
        rooms: Vec<Room>,
    },
    /// Some may not be in this room any more.
    Recheck {
        /// Which.
        room: Room,
    },
    /// Who is shut out has changed, as [`users`](crate::users) say it.
    ShutOut {
        /// How.
        change: Box<RawValue>,
    },
    /// Sockets of a user are to be closed, who may come back.
    #[serde(rename_all = "camelCase")]
    Disconnect {
        /// Whose.
        user: Id,
        /// But those of this sign-in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        except_session: Option<String>,
    },
    /// A session was taken, from whoever is connected to it.
    Displace {
        /// The socket that has it.
        socket: Uuid,
        /// Of which generation it is now.
        generation: NonZeroU32,
    },
    /// A backend wants something of sockets.
    Sockets {
        /// What, and of which.
        command: SocketsCommand,
    },
}

/// What a backend wants of sockets, as servers of Socket.IO do it for their emitters.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketsCommand {
    /// Which.
    pub to: Target,
    /// In this namespace alone; none is everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "as_path")]
    pub namespace: Option<Namespace>,
    /// What.
    pub wanted: Wanted,
}

/// What is wanted of sockets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wanted {
    /// They join these rooms, as far as it is a backend's to say.
    Join {
        /// The rooms.
        rooms: Vec<Room>,
    },
    /// They leave these rooms.
    Leave {
        /// The rooms.
        rooms: Vec<Room>,
    },
    /// They are closed, and may come back.
    Disconnect,
}

/// Who does it, when another process says so.
pub type ControlListener = Arc<dyn Fn(Control) -> BoxFuture<'static, ()> + Send + Sync>;

/// What a process says, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Said {
    /// Which process: it has done so itself.
    pub(crate) by: Uuid,
    pub(crate) control: Control,
}

impl Said {
    /// What an event says, if it is one of these; none where a newer process says what this one does not
    /// know.
    pub(crate) fn read(event: &CommittedEvent) -> Option<Self> {
        if !event.is_control() {
            return None;
        }
        let data = event.wire_events.first()?.data.get();
        serde_json::from_str(data)
            .inspect_err(
                |error| tracing::warn!(%error, "another process says what is not known here"),
            )
            .ok()
    }
}

impl DomainEvent for Said {
    fn streams(&self) -> Vec<Stream> {
        vec![Stream::Control]
    }

    fn render(&self, _seq: i64) -> Vec<WireEvent> {
        let (Ok(event), Ok(data)) = (EventName::new("control"), to_raw_value(self)) else {
            return Vec::new();
        };
        vec![WireEvent::to_nobody(event, data)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn what_is_said_reads_back_and_what_is_not_known_is_none() {
        let user: Id = "ann".parse().unwrap();
        let change = to_raw_value(&serde_json::json!({ "a": 1 })).unwrap();
        let all = [
            Control::Evict { user: user.clone(), rooms: vec![Room::Admins] },
            Control::Recheck { room: Room::Request("r1".parse().unwrap()) },
            Control::ShutOut { change },
            Control::Disconnect { user: user.clone(), except_session: None },
            Control::Disconnect { user, except_session: Some("s1".to_owned()) },
            Control::Displace { socket: Uuid::nil(), generation: NonZeroU32::MIN },
            Control::Sockets {
                command: SocketsCommand {
                    to: Target::EveryoneBut { except: vec![Room::Sellers] },
                    namespace: Some(Namespace::Chat),
                    wanted: Wanted::Join { rooms: vec![Room::Admins] },
                },
            },
        ];
        let kept = |said: &Said| CommittedEvent {
            position: 1,
            created_at: Timestamp::from_millis(0),
            numbers: vec![(Stream::Control, 1)],
            wire_events: said.render(1),
        };
        for control in all {
            let said = Said { by: Uuid::nil(), control };
            let read = Said::read(&kept(&said)).unwrap();
            assert_eq!(format!("{read:?}"), format!("{said:?}"));
        }
        let mut unknown =
            kept(&Said { by: Uuid::nil(), control: Control::Recheck { room: Room::Admins } });
        unknown.wire_events[0].data =
            RawValue::from_string(r#"{"by":"1","control":{"fly":{}}}"#.to_owned()).unwrap();
        assert!(Said::read(&unknown).is_none());
        unknown.numbers = vec![(Stream::Global, 1)];
        assert!(Said::read(&unknown).is_none());
    }
}
