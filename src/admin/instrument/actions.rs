//! What an operator asks with the Admin UI: to send an event, to have sockets enter and leave rooms, to
//! disconnect them. Each goes the way that a backend's call goes, and is logged with who did it.

use std::{net::IpAddr, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    error::{Code, Error, Result},
    event::{EventName, Namespace},
    id::Ids,
    realtime::{Connection, EmitService, ExternalEvent, Sockets, Target},
    room::Room,
    text::well_formed,
};

/// Arguments of an event, as of one that a backend sends.
const MAX_ARGUMENTS: usize = 100;

/// Sockets that are dealt with before others get the thread.
const AT_ONCE: usize = 500;

/// Acts for operators. Cheap to clone.
#[derive(Clone)]
pub(super) struct Actions {
    sockets: Sockets,
    emits: EmitService,
}

/// What was done.
pub(super) struct Done {
    /// How many sockets of this node it reached.
    pub(super) sockets: usize,
    /// Other nodes hear of it by themselves.
    pub(super) is_everywhere: bool,
}

/// Which sockets are meant.
struct Chosen {
    namespace: Namespace,
    /// Those in a room, or one by its id; all of the namespace where there is none.
    filter: Option<Room>,
}

impl Actions {
    pub(super) fn new(sockets: Sockets, emits: EmitService) -> Self {
        Self { sockets, emits }
    }

    /// Does what an event asks, a list of its name and arguments, to the sockets of this node. The address
    /// is known of an operator who is here.
    ///
    /// # Errors
    /// [`Code::UnknownEvent`]; [`Code::InvalidPayload`] for arguments that can't be read;
    /// [`Code::Unavailable`] while the store is away.
    pub(super) async fn act(
        &self,
        operator: &str,
        address: Option<IpAddr>,
        event: &str,
    ) -> Result<Done> {
        let formed = well_formed(event.as_bytes());
        let list: Vec<&RawValue> = serde_json::from_slice(&formed).map_err(|_| unknown())?;
        let (name, arguments) = list.split_first().ok_or_else(unknown)?;
        let name: String = read(name)?;
        let (action, chosen, sockets) = match name.as_str() {
            "emit" => {
                let chosen = Chosen::read(arguments.first(), arguments.get(1))?;
                let rest = arguments.get(2..).unwrap_or_default();
                ("emit", chosen.namespace, self.emit(chosen, rest).await?)
            }
            "join" => {
                let chosen = Chosen::read(arguments.first(), arguments.get(2))?;
                let (namespace, room) = (chosen.namespace, room(arguments.get(1))?);
                ("join", namespace, self.join(chosen, &room).await?)
            }
            "leave" => {
                let room = room(arguments.get(1))?;
                // Without a filter everybody who is there.
                let filter = arguments.get(2);
                let chosen = Chosen::read(arguments.first(), filter)?.or(&room);
                ("leave", chosen.namespace, self.leave(chosen, &room).await?)
            }
            "_disconnect" => {
                let chosen = Chosen::read(arguments.first(), arguments.get(2))?;
                let closes = arguments.get(1).map(|closes| read(closes)).transpose()?;
                let namespace = chosen.namespace;
                ("disconnect", namespace, self.disconnect(chosen, closes == Some(true)).await)
            }
            _ => return Err(unknown()),
        };
        let namespace = chosen.path();
        tracing::info!(
            operator,
            address = address.map(tracing::field::display),
            action,
            namespace,
            sockets,
            "an operator acted with the Admin UI"
        );
        Ok(Done { sockets, is_everywhere: action == "emit" })
    }

    async fn emit(&self, chosen: Chosen, arguments: &[&RawValue]) -> Result<usize> {
        let (name, arguments) =
            arguments.split_first().ok_or_else(|| Error::invalid("", "an event has a name"))?;
        let event = EventName::new(read::<String>(name)?)
            .map_err(|error| Error::invalid("", error.to_string()))?;
        if arguments.len() > MAX_ARGUMENTS {
            return Err(Error::invalid("", "has more arguments than are sent"));
        }
        chosen.of_apps()?;
        let data = serde_json::value::to_raw_value(arguments).map_err(Error::internal)?;
        let to = match chosen.filter {
            Some(room) => Target::Rooms { rooms: vec![room], except: Vec::new() },
            None => Target::Everyone,
        };
        let emit = ExternalEvent {
            id: Ids.next(),
            to,
            event,
            data,
            several: true,
            namespace: Some(chosen.namespace),
            volatile: false,
        };
        Ok(self.emits.send(vec![emit]).await?.into_iter().sum())
    }

    /// An operator's word is as good as a backend's: it holds under a newer token, too.
    async fn join(&self, chosen: Chosen, room: &Room) -> Result<usize> {
        chosen.of_apps()?;
        let mut sockets = 0;
        for some in self.chosen(&chosen).await.chunks(AT_ONCE) {
            // Who has ended, or is in as many rooms as may be, is left out.
            sockets += some.iter().filter(|it| it.admit(room.clone()).is_ok()).count();
            tokio::task::yield_now().await;
        }
        Ok(sockets)
    }

    /// Nobody leaves the room that is their own: by it all of a user's sockets are found.
    async fn leave(&self, chosen: Chosen, room: &Room) -> Result<usize> {
        chosen.of_apps()?;
        let mut sockets = 0;
        for some in self.chosen(&chosen).await.chunks(AT_ONCE) {
            for connection in some {
                let is_own = connection.user_id().is_some_and(|user| *room == Room::User(user));
                if !is_own && connection.is_in(room) {
                    connection.leave(room);
                    sockets += 1;
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(sockets)
    }

    /// With `closes` those go, too, that share a transport with one that is meant: it is closed for all.
    async fn disconnect(&self, chosen: Chosen, closes: bool) -> usize {
        let connections = self.chosen(&chosen).await;
        self.sockets.disconnect(&connections, closes).await
    }

    async fn chosen(&self, chosen: &Chosen) -> Vec<Arc<Connection>> {
        let mut connections = match &chosen.filter {
            None => self.sockets.all().await,
            Some(room) => match socket(room) {
                // It need not have been in the room of its own.
                Some(socket) => self.sockets.find(socket).into_iter().collect(),
                None => self.sockets.in_room(room).await,
            },
        };
        connections.retain(|it| it.namespace() == chosen.namespace && it.is_open());
        connections
    }
}

impl Chosen {
    fn read(path: Option<&&RawValue>, filter: Option<&&RawValue>) -> Result<Self> {
        let path: Option<String> = path.map(|path| read(path)).transpose()?;
        let namespace = path.as_deref().and_then(Namespace::asked_for);
        let namespace = namespace
            .ok_or_else(|| Error::invalid("", "a namespace is one of /, /chat, /marketplace"))?;
        let filter: Option<String> = filter.map(|filter| read(filter)).transpose()?.flatten();
        let filter = filter.filter(|filter| !filter.is_empty());
        let filter = filter.map(|filter| filter.parse()).transpose();
        let filter = filter.map_err(|_| Error::invalid("", "is no room and no socket"))?;
        Ok(Self { namespace, filter })
    }

    /// The same, or who is in this room where none are named.
    fn or(self, room: &Room) -> Self {
        Self { filter: self.filter.or_else(|| Some(room.clone())), ..self }
    }

    /// That it is not the Admin UI's own: nothing is said there but by this server.
    fn of_apps(&self) -> Result<()> {
        match self.namespace {
            Namespace::Admin => Err(Error::new(Code::Forbidden, "Nobody else speaks there.")),
            _ => Ok(()),
        }
    }
}

/// The socket whose own room it is.
fn socket(room: &Room) -> Option<Uuid> {
    match room {
        Room::Other(id) => id.as_str().parse().ok(),
        _ => None,
    }
}

fn room(argument: Option<&&RawValue>) -> Result<Room> {
    let name: Option<String> = argument.map(|name| read(name)).transpose()?;
    let room = name.and_then(|name| name.parse().ok());
    room.ok_or_else(|| Error::invalid("", "is no room's name"))
}

fn read<'a, T: Deserialize<'a>>(argument: &'a RawValue) -> Result<T> {
    serde_json::from_str(argument.get())
        .map_err(|_| Error::invalid("", "an argument is not what the Admin UI sends"))
}

fn unknown() -> Error {
    Error::new(Code::UnknownEvent, "There is no such event in this namespace.")
}
