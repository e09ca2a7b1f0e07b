//! The engine's answers to CONNECT, in our words: with the id of our own socket, which may be shown, and
//! that of the session that its client may come back to.

use std::borrow::Cow;

use crate::{
    event::Namespace,
    id::Ids,
    realtime::{connection::Context, frame, link::Link, packet},
};

/// A packet of the engine's as the client is told it.
pub(super) fn in_our_words<'a>(context: &Context, link: &Link, packet: &'a str) -> Cow<'a, str> {
    if link.is_v3() || !packet.starts_with("40") {
        return packet.into();
    }
    let message = packet::Message::read(&packet[1..]).ok();
    let Some(namespace) = message.and_then(|it| Namespace::asked_for(it.namespace)) else {
        return packet.into();
    };
    let connections = context.connections(link);
    let connection = connections.iter().find(|connection| connection.namespace() == namespace);
    // One that has ended by now is nobody's.
    let gone = || frame::connected(namespace, Ids.next(), None, false);
    connection.map_or_else(gone, |connection| connection.answer()).into()
}
