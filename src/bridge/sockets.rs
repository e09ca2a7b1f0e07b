//! What backends have done with sockets, each node with its own: they join and leave rooms, and are
//! disconnected.

use futures_util::{StreamExt as _, stream};

use crate::{
    access::Access,
    control::{SocketsCommand, Wanted},
    realtime::Realtime,
};

/// Sockets that are let into rooms at once.
const AT_ONCE: usize = 64;

/// Carries out what backends want of sockets. Cheap to clone.
#[derive(Clone)]
pub struct SocketCommands {
    access: Access,
    realtime: Realtime,
}

impl SocketCommands {
    /// For the sockets of this node, which enter rooms as far as backends may say so.
    #[must_use]
    pub fn new(access: Access, realtime: Realtime) -> Self {
        Self { access, realtime }
    }

    /// Does it with those sockets of this node that are meant.
    pub async fn carry_out(&self, command: SocketsCommand) {
        let SocketsCommand { to, namespace, wanted } = command;
        let connections = self.realtime.sockets().meant(&to, namespace).await;
        match wanted {
            Wanted::Join { rooms } => {
                let (access, rooms) = (&self.access, &rooms);
                // Who may not enter, or has ended, does not.
                let join = async |connection| {
                    let joined = access.admit_all(&connection, rooms.clone()).await;
                    if let Err(error) = joined {
                        tracing::debug!(?error, "a socket does not join rooms for a backend");
                    }
                };
                stream::iter(connections).for_each_concurrent(AT_ONCE, join).await;
            }
            Wanted::Leave { rooms } => {
                for connection in connections {
                    for room in rooms.iter().filter(|room| !connection.counts_on(room)) {
                        connection.leave(room);
                    }
                }
            }
            Wanted::Disconnect => {
                self.realtime.disconnect_sockets(&connections);
            }
        }
    }
}
