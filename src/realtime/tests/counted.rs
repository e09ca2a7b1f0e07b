//! How many sockets an event reached, as whoever sent it is told: those that get it.

use std::sync::Arc;

use super::{
    JOIN, Seen, Server, TOLD, Told,
    client::{Client, Packet},
    polling::Polling,
    room,
};
use crate::{
    clock::Clock,
    db::Reach,
    event::{EventName, Namespace},
    id::Ids,
    realtime::{Connection, ExternalEvent, Target, events::ClosingReason, hub::Then},
    stream::{CommittedEvent, Stream, WireEvent},
};

fn emit(number: u64) -> ExternalEvent {
    let told = Told { number, padding: String::new() };
    ExternalEvent {
        id: Ids.next(),
        to: Target::Rooms { rooms: vec![room(1)], except: Vec::new() },
        event: EventName::new(TOLD.name).expect("a name"),
        several: false,
        data: serde_json::value::to_raw_value(&told).expect("json"),
        namespace: None,
        volatile: false,
    }
}

fn told(number: u64) -> Packet {
    let data = Told { number, padding: String::new() };
    Packet::Event(Namespace::Root, serde_json::to_string(&(TOLD.name, data)).expect("json"))
}

/// Tells the room as if the store had kept it under that number; how many sockets it reached.
async fn publish(server: &Server, seq: i64) -> usize {
    let wire_event: WireEvent = emit(seq.unsigned_abs()).into();
    let emitter = server.realtime.emitter();
    let count = emitter.count(wire_event.id.expect("an id"));
    let numbers = vec![(Stream::from(&room(1)), seq)];
    let (created_at, wire_events) = (Clock::system().now(), vec![wire_event]);
    let event = CommittedEvent { position: seq, created_at, numbers, wire_events };
    emitter.publish(event, &Reach::upto(seq));
    count.sockets().await
}

async fn only_member(server: &Server) -> Arc<Connection> {
    server.realtime.sockets().in_room(&room(1)).await.remove(0)
}

/// In one thread all that is asked here is one batch of the shard.
#[tokio::test]
async fn a_socket_that_catches_up_counts_for_what_waits_and_not_when_it_is_closed() -> Seen<()> {
    let server = Server::start();
    let mut client = Client::connected(server.address).await?;
    client.asked(Namespace::Root, JOIN, &room(1)).await?;
    let connection = only_member(&server).await;
    connection.join_buffered(room(1), Vec::new()).expect("it is in there");
    assert_eq!(publish(&server, 1).await, 1, "it comes after what was missed");
    connection.replay(&room(1), Vec::new(), Then::Live { upto: 0 }).await.expect("a replay");
    client.expect(&told(1)).await?;

    connection.join_buffered(room(1), Vec::new()).expect("it is in there");
    connection.close(ClosingReason::Revoked);
    assert_eq!(publish(&server, 2).await, 0, "it never comes");
    Ok(())
}

#[tokio::test]
async fn a_socket_by_polling_that_was_told_the_end_does_not_count() -> Seen<()> {
    let server = Server::start();
    let mut polling = Polling::connected(server.address, false).await?;
    let ack = polling.ask(Namespace::Root, JOIN, &room(1)).await?;
    let joined = r#"[{"success":true}]"#.into();
    polling.expect(&Packet::Acknowledged(Namespace::Root, ack, joined)).await?;
    assert_eq!(server.realtime.emitter().emit(emit(1)).await, 1);
    polling.expect(&told(1)).await?;
    only_member(&server).await.close(ClosingReason::Revoked);
    assert_eq!(server.realtime.emitter().emit(emit(2)).await, 0, "it never comes");
    match polling.next().await? {
        Packet::Event(Namespace::Root, event) if event.contains("revoked") => Ok(()),
        other => panic!("{other:?} at the end"),
    }
}
