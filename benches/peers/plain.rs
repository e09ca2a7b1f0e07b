//! socketioxide as it comes out of the box, under `axum::serve`: what Stoa stands on, without Stoa.

use std::{collections::HashMap, future::ready, sync::Arc};

use anyhow::Result;
use axum::Router;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef},
    handler::ConnectHandler,
    socket::Sid,
};
use tokio::{net::TcpListener, runtime};

use crate::load::token::Verifier;

/// How many connections each user has.
type Online = Mutex<HashMap<Arc<str>, usize>>;
/// Users between the handshake's check and its end.
type Arriving = Mutex<HashMap<Sid, Arc<str>>>;

#[derive(Deserialize)]
struct Auth {
    token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typing {
    conversation_id: String,
    user_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IsTyping<'a> {
    user_id: &'a str,
    user_name: &'a str,
    conversation_id: &'a str,
}

/// Serves until it is killed.
///
/// # Errors
/// When the runtime or the listener fail.
pub fn run(listener: std::net::TcpListener, presence: bool) -> Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (layer, io) = SocketIo::new_layer();
        if presence {
            serve_with_presence(&io);
        } else {
            let verifier = Verifier::new();
            let authenticate = move |socket: SocketRef, Data(auth): Data<Auth>| {
                ready(authenticate(&verifier, &socket, &auth).map(drop))
            };
            io.ns("/", (async || ()).with(authenticate));
        }
        let app = Router::new().layer(layer);
        Ok(axum::serve(TcpListener::from_std(listener)?, app).await?)
    })
}

/// As naive as most servers are: each change is told to all at once.
fn serve_with_presence(io: &SocketIo) {
    let (online, arriving) = (Arc::new(Online::default()), Arc::new(Arriving::default()));
    let verifier = Verifier::new();
    let (users, connections) = (Arc::clone(&arriving), Arc::clone(&online));
    let authenticate = move |socket: SocketRef, Data(auth): Data<Auth>| {
        let user_id = authenticate(&verifier, &socket, &auth);
        ready(user_id.map(|user_id| {
            users.lock().insert(socket.id, Arc::clone(&user_id));
            let connections = Arc::clone(&connections);
            socket.on_disconnect(async move |socket: SocketRef| {
                if count(&connections, &user_id, -1) == 0 {
                    tell_all(&socket, "user:offline", &user_id).await;
                }
            });
        }))
    };
    let connected = async move |socket: SocketRef| {
        let Some(user_id) = arriving.lock().remove(&socket.id) else { return };
        if count(&online, &user_id, 1) == 1 {
            tell_all(&socket, "user:online", &user_id).await;
        }
    };
    io.ns("/", connected.with(authenticate));
}

/// Handlers are registered here: those registered after CONNECT miss first events.
fn authenticate(
    verifier: &Verifier,
    socket: &SocketRef,
    auth: &Auth,
) -> Result<Arc<str>, &'static str> {
    let user_id = verifier.user_id(&auth.token).map_err(|_| "Authentication error")?;
    let user_id: Arc<str> = user_id.into();
    socket.on(
        "conversation:join",
        async |socket: SocketRef, Data(id): Data<String>, ack: AckSender| {
            let room = format!("conversation:{id}");
            socket.join(room.clone());
            drop(ack.send(&json!({ "success": true, "conversationId": id, "room": room })));
        },
    );
    let from = Arc::clone(&user_id);
    socket.on("typing:start", async move |socket: SocketRef, Data(typing): Data<Typing>| {
        let room = format!("conversation:{}", typing.conversation_id);
        let event = IsTyping {
            user_id: &from,
            user_name: &typing.user_name,
            conversation_id: &typing.conversation_id,
        };
        drop(socket.to(room).emit("typing:start", &event).await);
    });
    Ok(user_id)
}

async fn tell_all(socket: &SocketRef, event: &'static str, user_id: &str) {
    drop(socket.broadcast().emit(event, &json!({ "userId": user_id })).await);
}

/// Counts a connection in or out; how many the user has then.
fn count(online: &Online, user_id: &Arc<str>, change: isize) -> usize {
    let mut online = online.lock();
    let connections = online.entry(Arc::clone(user_id)).or_default();
    *connections = connections.saturating_add_signed(change);
    *connections
}
