//! How a room declares its events, once for everything that is made of them.

use std::{borrow::Cow, marker::PhantomData};

use serde::{Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Object, RefOr,
        schema::{Schema, Type},
    },
};

use super::namespace::Dialect;

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// The server, to sockets.
    ServerToClient,
    /// A client, to the server; it is acknowledged.
    ClientToServer,
}

/// The type of a payload or an acknowledgement: how documents name and describe it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its name in the documents.
    pub name: fn() -> Cow<'static, str>,
    /// Its schema, which refers to other types by name.
    pub schema: fn() -> RefOr<Schema>,
    /// Adds the types it refers to, by name.
    pub nested: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl Shape {
    /// The shape of a type.
    #[must_use]
    pub const fn of<T: ToSchema>() -> Self {
        Self { name: T::name, schema: T::schema, nested: T::schemas }
    }
}

/// One event of the wire contract, as a room declares it with [`events!`](crate::events).
#[derive(Clone, Copy, Debug)]
pub struct EventType {
    /// The name on the wire.
    pub name: &'static str,
    /// Whose name it is.
    pub dialect: Dialect,
    /// Who says it.
    pub direction: Direction,
    /// Who hears it, in the contract's words.
    pub to: &'static str,
    /// What it means: the doc comment of its declaration, as it stands there.
    pub doc: &'static str,
    /// Whether it is kept for replay ("Missed events"); typing, presence and sessions are not.
    pub kept: bool,
    /// What it carries.
    pub payload: Shape,
    /// How a success is acknowledged, for what clients send.
    pub ack: Option<Shape>,
    /// What says the same in the other dialect.
    pub twin: Twin,
}

/// What says in the other dialect what an event says, or a part of it. The conversation dialect's
/// declarations name that of the marketplace.
#[derive(Clone, Copy, Debug)]
pub enum Twin {
    /// Nothing does, or the same event.
    None,
    /// This does, in the marketplace dialect.
    Is(fn() -> EventType),
    /// Something does in the conversation dialect, and names this as its twin.
    Named,
}

impl EventType {
    /// What it means, in one line.
    #[must_use]
    pub fn description(&self) -> String {
        self.doc.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// How often clients may send an event: those of one kind share a rate (`limits`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventClass {
    /// Joins and leaves.
    Join,
    /// Typing.
    Typing,
    /// Messages, and whatever else is stored and heard by others: the user's, over all their sockets
    /// and REST.
    Message,
    /// New tokens: with each, every room is checked again.
    Refresh,
    /// Everything else, unknown names too: the connection's alone.
    Other,
}

/// One event that clients send: it carries a `P`, and a success is acknowledged with an `A`.
#[derive(Debug)]
pub struct ClientEvent<P, A> {
    event: EventType,
    class: EventClass,
    handled: PhantomData<fn(P) -> A>,
}

impl<P, A> Clone for ClientEvent<P, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, A> Copy for ClientEvent<P, A> {}

impl<P: ToSchema, A: ToSchema> ClientEvent<P, A> {
    /// The event of this name.
    #[must_use]
    pub const fn new(
        name: &'static str,
        dialect: Dialect,
        class: EventClass,
        doc: &'static str,
        twin: Twin,
    ) -> Self {
        let event = EventType {
            name,
            dialect,
            direction: Direction::ClientToServer,
            to: "the server",
            doc,
            kept: false,
            payload: Shape::of::<P>(),
            ack: Some(Shape::of::<A>()),
            twin,
        };
        Self { event, class, handled: PhantomData }
    }
}

impl<P, A> ClientEvent<P, A> {
    /// What the contract says of it.
    #[must_use]
    pub const fn event(&self) -> EventType {
        self.event
    }

    /// How often it may be sent.
    #[must_use]
    pub const fn class(&self) -> EventClass {
        self.class
    }
}

/// The payload of one event that the server sends: the type alone decides the name on the wire.
pub trait ServerEvent: Serialize {
    /// The event.
    const EVENT: EventType;
}

/// Is kept for replay: a unit of work announces it, and nobody hears it before that is committed
/// (docs/contract/events.md#missed-events).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not declared as kept: no stream may number it",
    note = "what is ephemeral goes to the emitter, past the store"
)]
pub trait Kept: ServerEvent {}

/// Is heard by who is there, and is not kept: it goes to the emitter, past the store.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not declared as ephemeral: it may not be sent past the store",
    note = "what is kept is announced in a unit of work, as a `Rendering`"
)]
pub trait Ephemeral: ServerEvent {}

/// An event that the other dialect has no name for, or the same one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has a twin in the other dialect, which would not hear of it",
    note = "twins are told together"
)]
pub trait Alone: ServerEvent {}

/// An event of the conversation dialect that is told in the marketplace dialect, too.
#[diagnostic::on_unimplemented(message = "`{Self}` is not declared with a twin")]
pub trait Twinned: ServerEvent {
    /// As what it is told there.
    type Twin: ServerEvent;
}

/// The `success: true` of an acknowledgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Success;

impl Serialize for Success {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

impl PartialSchema for Success {
    fn schema() -> RefOr<Schema> {
        let object = Object::builder().schema_type(Type::Boolean).enum_values(Some([true]));
        object.description(Some("It was done.")).into()
    }
}

impl ToSchema for Success {}

/// Declares the events of one dialect in a room: a constant for each (an [`EventType`], or the
/// [`ClientEvent`] that its command is given to); for each payload that the server sends
/// [`ServerEvent`], [`Kept`] or [`Ephemeral`], and [`Alone`] or [`Twinned`]; and `EVENTS` with all of
/// them.
///
/// What the server sends names its payload, whether it is `kept` or `ephemeral`, and who hears it;
/// what a client sends names its payload, the acknowledgement of a success, and its rate, as one of
/// [`EventClass`]. Each says whether it stands `alone` or has a `twin` that says the same in the other
/// dialect; in the conversation dialect also which: its payload, or for clients its constant. Where a
/// room speaks one dialect `only`, or both have the same name, there is nothing to say.
///
/// ```
/// use stoa::{event::Success, id::Id};
///
/// #[derive(serde::Serialize, utoipa::ToSchema)]
/// pub struct Pinned {
///     message_id: Id,
/// }
///
/// stoa::events! {
///     server(Conversation only) {
///         /// A message was pinned.
///         MESSAGE_PINNED: "message:pinned", Pinned, kept, to "conversation:<id>";
///     }
///     client(Conversation only) {
///         /// Pins a message.
///         PIN_MESSAGE: "message:pin", Id => Success, rate Message;
///     }
/// }
/// ```
///
/// Where both dialects are spoken, one that says nothing of the other does not compile:
///
/// ```compile_fail
/// # #[derive(serde::Serialize, utoipa::ToSchema)]
/// # pub struct Pinned {
/// #     message_id: stoa::id::Id,
/// # }
/// stoa::events! {
///     server(Conversation) {
///         /// A message was pinned.
///         MESSAGE_PINNED: "message:pinned", Pinned, kept, to "conversation:<id>";
///     }
/// }
/// ```
#[macro_export]
macro_rules! events {
    (@dialect ($dialect:ident $(only)?)) => { $crate::event::Dialect::$dialect };

    (@is_kept kept) => { true };
    (@is_kept ephemeral) => { false };

    (@twin $by:ident (Both)) => { $crate::event::Twin::None };
    (@twin $by:ident ($dialect:ident only)) => { $crate::event::Twin::None };
    (@twin $by:ident ($dialect:ident), alone) => { $crate::event::Twin::None };
    (@twin $by:ident (Marketplace), twin) => { $crate::event::Twin::Named };
    (@twin server (Conversation), twin $twin:path) => {
        $crate::event::Twin::Is(|| <$twin as $crate::event::ServerEvent>::EVENT)
    };
    (@twin client (Conversation), twin $twin:path) => {
        $crate::event::Twin::Is(|| $twin.event())
    };
    (@twin $by:ident ($dialect:ident)) => {
        compile_error!(
            "say whether it is `alone` or has a `twin` in the other dialect, \
             or that the room speaks this dialect `only`"
        )
    };

    (@impl kept $payload:ty) => { impl $crate::event::Kept for $payload {} };
    (@impl ephemeral $payload:ty) => { impl $crate::event::Ephemeral for $payload {} };

    (@told (Marketplace) $payload:ty, twin) => {};
    (@told (Conversation) $payload:ty, twin $twin:path) => {
        impl $crate::event::Twinned for $payload {
            type Twin = $twin;
        }
    };
    (@told $dialect:tt $payload:ty $(, alone)?) => { impl $crate::event::Alone for $payload {} };

    (
        $(server $server:tt { $(
            $(#[doc = $sent_doc:literal])+
            $sent:ident: $sent_name:literal, $payload:ty, $kept:ident, to $to:literal
                $(, $sent_stands:ident $($sent_twin:path)?)?;
        )+ })?
        $(client $client:tt { $(
            $(#[doc = $heard_doc:literal])+
            $heard:ident: $heard_name:literal, $argument:ty => $ack:ty, rate $class:ident
                $(, $heard_stands:ident $($heard_twin:path)?)?;
        )+ })?
    ) => {
        $($(
            $(#[doc = $sent_doc])+
            pub const $sent: $crate::event::EventType = $crate::event::EventType {
                name: $sent_name,
                dialect: $crate::events!(@dialect $server),
                direction: $crate::event::Direction::ServerToClient,
                to: $to,
                doc: concat!($($sent_doc, "\n"),+),
                kept: $crate::events!(@is_kept $kept),
                payload: $crate::event::Shape::of::<$payload>(),
                ack: None,
                twin: $crate::events!(@twin server $server $(, $sent_stands $($sent_twin)?)?),
            };
            impl $crate::event::ServerEvent for $payload {
                const EVENT: $crate::event::EventType = $sent;
            }
            $crate::events!(@impl $kept $payload);
            $crate::events!(@told $server $payload $(, $sent_stands $($sent_twin)?)?);
        )+)?
        $($(
            $(#[doc = $heard_doc])+
            pub const $heard: $crate::event::ClientEvent<$argument, $ack> =
                $crate::event::ClientEvent::new(
                    $heard_name,
                    $crate::events!(@dialect $client),
                    $crate::event::EventClass::$class,
                    concat!($($heard_doc, "\n"),+),
                    $crate::events!(@twin client $client $(, $heard_stands $($heard_twin)?)?),
                );
        )+)?
        /// Every event declared here.
        pub const EVENTS: &[$crate::event::EventType] = &[$($($sent,)+)? $($($heard.event(),)+)?];
    };
}
