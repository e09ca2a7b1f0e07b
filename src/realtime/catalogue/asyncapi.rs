//! The catalogue as an AsyncAPI 3.0.0 document: a channel for each namespace, a message for each
//! event, an operation with a reply for each event that clients send. AsyncAPI has no binding for
//! Socket.IO: what it can't say stands under `x-socketio`.

use serde_json::{Map, Value, json};

use super::{Catalogue, sample::Samples, schemas::REFUSAL};
use crate::event::{Direction, EventType, Namespace, Shape};

impl Catalogue {
    /// The document, as JSON.
    #[must_use]
    pub fn asyncapi(&self) -> Value {
        let channels: Map<_, _> =
            Namespace::ALL.into_iter().map(|at| (key(at), self.channel(at))).collect();
        let operations: Map<_, _> =
            Namespace::ALL.into_iter().flat_map(|at| self.operations(at)).collect();
        let samples = Samples::of(self);
        let events = self.iter().map(|event| (message_id(event), message(event, &samples)));
        let acks = self.acks().map(|ack| (ack_id(ack), ack_message(ack)));
        let messages: Map<_, _> = events.chain(acks).collect();
        json!({
            "asyncapi": "3.0.0",
            "info": {
                "title": "Stoa",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "The events of this server, over Socket.IO 4 (protocol version 5).",
            },
            "defaultContentType": "application/json",
            "channels": channels,
            "operations": operations,
            "components": {
                "messages": messages,
                "schemas": self.schemas(),
            },
        })
    }

    fn of(&self, namespace: Namespace) -> impl Iterator<Item = &EventType> {
        self.iter().filter(move |event| event.dialect.namespaces().contains(namespace))
    }

    fn acks(&self) -> impl Iterator<Item = Shape> {
        self.heard.values().filter_map(|event| event.ack)
    }

    fn channel(&self, namespace: Namespace) -> Value {
        let ids = self
            .of(namespace)
            .flat_map(|event| [Some(message_id(event)), event.ack.map(ack_id)])
            .flatten();
        json!({
            "address": namespace.path(),
            "title": format!("Namespace {}", namespace.path()),
            "messages": ids.map(|id| {
                let message = reference(&format!("#/components/messages/{id}"));
                (id, message)
            }).collect::<Map<_, _>>(),
            "bindings": {"ws": {"bindingVersion": "0.1.0"}},
        })
    }

    /// What the server sends into a namespace, as one operation; what it receives, as one each.
    fn operations(&self, namespace: Namespace) -> Vec<(String, Value)> {
        let channel = key(namespace);
        let to_channel = reference(&format!("#/channels/{channel}"));
        let in_channel = |id: String| reference(&format!("#/channels/{channel}/messages/{id}"));
        let (sent, heard): (Vec<_>, Vec<_>) =
            self.of(namespace).partition(|event| event.direction == Direction::ServerToClient);
        let sent: Vec<_> = sent.into_iter().map(|event| in_channel(message_id(event))).collect();
        let broadcast = json!({"action": "send", "channel": to_channel, "messages": sent});
        let receive = heard.into_iter().map(|event| {
            let mut operation = json!({
                "action": "receive",
                "channel": to_channel,
                "summary": event.description(),
                "messages": [in_channel(message_id(event))],
            });
            if let Some(ack) = event.ack {
                let messages = [in_channel(ack_id(ack))];
                operation["reply"] = json!({"channel": to_channel, "messages": messages});
            }
            (format!("{channel}.{}", message_id(event)), operation)
        });
        [(format!("{channel}.send"), broadcast)].into_iter().chain(receive).collect()
    }
}

/// The namespace's name among the channels.
fn key(namespace: Namespace) -> String {
    match namespace {
        Namespace::Root => "root".into(),
        other => other.path().trim_start_matches('/').into(),
    }
}

/// The event's name among the messages: some names exist in both directions, and AsyncAPI allows
/// no colons.
fn message_id(event: &EventType) -> String {
    let from = match event.direction {
        Direction::ServerToClient => "server",
        Direction::ClientToServer => "client",
    };
    format!("{from}.{}", event.name.replace(':', "."))
}

fn ack_id(ack: Shape) -> String {
    format!("ack.{}", (ack.name)())
}

fn message(event: &EventType, samples: &Samples) -> Value {
    json!({
        "name": event.name,
        "summary": event.description(),
        "payload": schema(event.payload),
        "examples": [{"payload": samples.example(event.payload)}],
        "x-socketio": {
            "event": event.name,
            "direction": event.direction,
            "dialect": event.dialect,
            "to": event.to,
            "kept": event.kept,
            "ack": event.ack.map(|ack| (ack.name)()),
        },
    })
}

fn ack_message(ack: Shape) -> Value {
    json!({
        "name": ack_id(ack),
        "summary": "The argument of the event's callback.",
        "payload": {"oneOf": [schema(ack), schema(REFUSAL)]},
    })
}

fn schema(shape: Shape) -> Value {
    reference(&format!("#/components/schemas/{}", (shape.name)()))
}

fn reference(to: &str) -> Value {
    json!({"$ref": to})
}
