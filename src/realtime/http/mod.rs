//! REST over the door out (docs/contract/rest.md#emit): backend services send events, operators see
//! rooms and sockets.

mod rooms;
mod sockets;

use axum::{Json, extract::State, response::IntoResponse};
use http::StatusCode;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    Realtime,
    emit_service::EmitService,
    emitter::{ExternalEvent, Target},
};
use crate::{
    auth::{Authenticator, EmitCaller},
    error::{Error, Result},
    event::{EventName, Namespace},
    id::{Id, Ids},
    idempotency::answer,
    rest::{
        body::Body,
        json::{self, AnyJson},
        openapi,
        problem::Problem,
    },
    room::Room,
};

/// Rooms or users of one emit.
pub const MAX_TARGETS: usize = 1000;

/// Arguments of one emit.
pub const MAX_ARGUMENTS: usize = 100;

/// Items of one batch.
const MAX_BATCH: usize = 100;

/// The emit door's routes.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: axum::extract::FromRef<S>,
    EmitService: axum::extract::FromRef<S>,
    Realtime: axum::extract::FromRef<S>,
{
    openapi::under("Emit", "Events from backends to sockets, and the rooms that sockets are in.")
        .routes(routes!(emit))
        .routes(routes!(emit_batch))
        .routes(routes!(rooms::list_rooms))
        .routes(routes!(rooms::list_members))
        .routes(routes!(sockets::list_sockets))
        .routes(routes!(sockets::disconnect_socket))
        .routes(routes!(sockets::put_out))
}

/// An event for sockets.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EmitRequest {
    /// Who hears it.
    to: EmitTo,
    /// Its name: 1–128 characters without control characters, none that Socket.IO clients keep for
    /// themselves.
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    event: EventName,
    /// Its data, as clients get it: at most 100 levels deep.
    #[serde(default)]
    #[schema(value_type = Value)]
    data: AnyJson,
    /// Its arguments, where it is to have several, or none: up to 100, instead of `data`.
    #[schema(value_type = Option<Vec<Value>>, max_items = 100)]
    args: Option<Arguments>,
    /// `/`, `/chat` or `/marketplace`; without it, wherever the room and the event are at home.
    #[schema(value_type = Option<String>, max_length = 12)]
    namespace: Option<NamespacePath>,
    /// Dropped for a socket for which bytes wait already, and never kept.
    #[serde(default, deserialize_with = "json::or_default")]
    volatile: bool,
}

/// A list of whatever there is, in the bytes in which it came.
#[derive(Deserialize)]
#[serde(try_from = "AnyJson")]
struct Arguments(AnyJson);

impl TryFrom<AnyJson> for Arguments {
    type Error = &'static str;

    fn try_from(json: AnyJson) -> std::result::Result<Self, Self::Error> {
        match serde_json::from_str::<Vec<IgnoredAny>>(json.0.get()) {
            Ok(list) if list.len() <= MAX_ARGUMENTS => Ok(Self(json)),
            Ok(_) => Err("has more than 100 items"),
            Err(_) => Err("is not a list"),
        }
    }
}

/// Who hears an event: `"everyone"`, or one of `room`, `rooms` (with `except`), `user`, `users`.
#[derive(Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "\"everyone\", {room}, {rooms, except?}, {user} or {users}, with valid names"
)]
enum EmitTo {
    /// Every socket.
    Everyone(Everyone),
    /// One room.
    Room(OneRoom),
    /// Rooms, a socket in several of them gets one copy.
    Rooms(ManyRooms),
    /// Every socket of a user.
    User(OneUser),
    /// Every socket of these users.
    Users(ManyUsers),
}

/// `"everyone"`
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Everyone {
    Everyone,
}

/// One room.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OneRoom {
    room: Room,
}

/// Rooms, and rooms whose members are left out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ManyRooms {
    #[schema(max_items = 1000)]
    rooms: Vec<Room>,
    #[serde(default, deserialize_with = "json::or_default")]
    #[schema(max_items = 1000)]
    except: Vec<Room>,
}

/// One user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OneUser {
    user: Id,
}

/// Users.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ManyUsers {
    #[schema(max_items = 1000)]
    users: Vec<Id>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct NamespacePath(Namespace);

impl TryFrom<String> for NamespacePath {
    type Error = &'static str;

    fn try_from(path: String) -> std::result::Result<Self, Self::Error> {
        let namespace = Namespace::from_path(&path).map(Self);
        namespace.ok_or("a namespace is one of /, /chat, /marketplace")
    }
}

/// The event was sent.
#[derive(Serialize, ToSchema)]
struct Emitted {
    /// Names this emit in the log, and where it is kept.
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    /// How many sockets of this node it was written to; a socket that catches up with its room gets it
    /// after what it missed, and counts. Those for which a volatile event was dropped do not. 0 where
    /// an `Idempotency-Key` is answered again after a crash that came before they were counted.
    sockets: usize,
}

impl EmitTo {
    fn into_target(self) -> Result<Target> {
        let (pointer, rooms, except) = match self {
            Self::Everyone(Everyone::Everyone) => return Ok(Target::Everyone),
            Self::Room(OneRoom { room }) => ("/to/room", vec![room], Vec::new()),
            Self::Rooms(ManyRooms { rooms, except }) => ("/to/rooms", rooms, except),
            Self::User(OneUser { user }) => ("/to/user", vec![Room::User(user)], Vec::new()),
            Self::Users(ManyUsers { users }) => {
                ("/to/users", users.into_iter().map(Room::User).collect(), Vec::new())
            }
        };
        if rooms.is_empty() || rooms.len() > MAX_TARGETS || except.len() > MAX_TARGETS {
            return Err(Error::invalid(pointer, format!("has 1–{MAX_TARGETS} items")));
        }
        Ok(Target::Rooms { rooms, except })
    }
}

impl EmitRequest {
    /// The emit that is asked for.
    fn into_event(self) -> Result<ExternalEvent> {
        let to = self.to.into_target()?;
        let (data, several) = match self.args {
            None => (self.data.0, false),
            Some(Arguments(list)) if self.data.0.get() == "null" => (list.0, true),
            Some(_) => return Err(Error::invalid("", "takes either data or args")),
        };
        let id = Ids.next();
        tracing::debug!(%id, event = self.event.as_str(), "emit");
        Ok(ExternalEvent {
            id,
            to,
            event: self.event,
            data,
            several,
            namespace: self.namespace.map(|NamespacePath(namespace)| namespace),
            volatile: self.volatile,
        })
    }
}

/// An emit that a backend asks for in an answer of its own, as `POST /api/emit` takes it.
///
/// # Errors
/// What [`json::decode`] says, or [`InvalidPayload`](crate::error::Code::InvalidPayload) for too many
/// targets or none.
pub fn read_emit(json: &RawValue) -> Result<ExternalEvent> {
    json::decode::<EmitRequest>(json.get().as_bytes())?.into_event()
}

/// The emit that is asked for, if the caller may.
fn allowed(caller: &EmitCaller, request: EmitRequest) -> Result<ExternalEvent> {
    let emit = request.into_event()?;
    let event = emit.event.as_str();
    let may = match &emit.to {
        Target::Everyone | Target::EveryoneBut { .. } => caller.may_emit(event, None),
        Target::Rooms { rooms, .. } => rooms.iter().all(|room| caller.may_emit(event, Some(room))),
    };
    if may {
        return Ok(emit);
    }
    Err(Error::needs("an API key whose scopes have this event and all of its targets"))
}

/// Sends an event to sockets.
///
/// Needs the role `service`. A narrowed API key sends only the events, and only to the rooms, that
/// it names. Without `volatile` the event is kept and replayed to clients that come back.
#[utoipa::path(
    post,
    path = "/api/emit",
    tag = "Emit",
    request_body = EmitRequest,
    responses((status = 202, description = "Sent.", body = Emitted))
)]
async fn emit(
    State(emits): State<EmitService>,
    caller: EmitCaller,
    Body(request): Body<EmitRequest>,
) -> Result<impl IntoResponse> {
    let emit = allowed(&caller, request)?;
    let id = emit.id;
    answer(emits.send(vec![emit]), move |sockets| {
        let sockets = sockets.into_iter().sum();
        (StatusCode::ACCEPTED, Json(Emitted { id, sockets }))
    })
    .await
}

/// Up to 100 events.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BatchRequest {
    /// Each as in `POST /api/emit`.
    #[schema(value_type = Vec<EmitRequest>, max_items = 100)]
    emits: Vec<Box<RawValue>>,
}

/// What became of each event of a batch, in their order.
#[derive(Serialize, ToSchema)]
struct BatchResults {
    results: Vec<BatchResult>,
}

/// What became of one event.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum BatchResult {
    /// It was sent.
    Emitted {
        /// 202
        status: u16,
        #[serde(flatten)]
        emitted: Emitted,
    },
    /// It was not; `status` is among the problem's members.
    Failed(Problem),
}

/// Sends up to 100 events to sockets.
///
/// Needs the role `service`. Each event is as in `POST /api/emit`, and each has a result of its
/// own: one that is refused does not stop the others. Kept events are sent first, in order, then
/// volatile ones, in order.
///
/// The kept events of a batch are stored together: while the store is away all of them are answered
/// with 503 and none is sent. An event beyond what one request may have stored
/// (`database.max_unit_event_bytes`) is refused with 413.
#[utoipa::path(
    post,
    path = "/api/emit/batch",
    tag = "Emit",
    request_body = BatchRequest,
    responses(
        (
            status = 207,
            description = "The result of each event, in their order.",
            body = BatchResults,
        ),
    )
)]
async fn emit_batch(
    State(emits): State<EmitService>,
    caller: EmitCaller,
    Body(batch): Body<BatchRequest>,
) -> Result<impl IntoResponse> {
    if batch.emits.is_empty() || batch.emits.len() > MAX_BATCH {
        return Err(Error::invalid("/emits", format!("has 1–{MAX_BATCH} items")));
    }
    let mut budget = emits.budget();
    let mut accepted = Vec::with_capacity(batch.emits.len());
    let mut take = |item: Box<RawValue>| {
        let request = json::decode::<EmitRequest>(item.get().as_bytes())?;
        let emit = allowed(&caller, request)?;
        let id = emit.id;
        budget.take(&emit)?;
        accepted.push(emit);
        Ok(id)
    };
    let items: Vec<Result<Uuid, Box<Problem>>> = batch
        .emits
        .into_iter()
        .map(|item| take(item).map_err(|error: Error| Problem::new(&error, None).into()))
        .collect();
    answer(emits.send(accepted), move |sockets| {
        let mut sockets = sockets.into_iter();
        let results = items.iter().cloned().map(|item| match item {
            Ok(id) => {
                let emitted = Emitted { id, sockets: sockets.next().unwrap_or(0) };
                BatchResult::Emitted { status: StatusCode::ACCEPTED.as_u16(), emitted }
            }
            Err(problem) => BatchResult::Failed(*problem),
        });
        (StatusCode::MULTI_STATUS, Json(BatchResults { results: results.collect() }))
    })
    .await
}
