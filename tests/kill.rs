//! The server killed again and again in the middle of its work: what it acknowledged is there, once,
//! and whoever comes back hears what they missed.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use http::StatusCode;
use rand::Rng;
use serde_json::{Value, json};
use stoa::clock::Clock;
use tempfile::TempDir;
use tokio::{task::JoinSet, time::sleep};

use crate::support::{
    Client, Options,
    app::{SECRET, sign, test_database},
    chance, http_client,
    process::Process,
    within,
};

/// How often it is killed; `STOA_KILLS` says otherwise.
const KILLS: usize = 100;

/// How long an `Idempotency-Key` may be held by the one that was killed.
const MAX_HELD: Duration = Duration::from_secs(1);

const ASK_AGAIN: Duration = Duration::from_millis(100);

const WRITERS: usize = 20;
const CONVERSATIONS: usize = 3;

/// Backends that write batches of events, and how many are in one.
const BACKENDS: usize = 4;
const BATCH: usize = 20;

/// The server, and what is asked of it.
pub struct Server {
    process: Process,
    pub address: SocketAddr,
}

impl Server {
    /// On SQLite, or in this database of a Postgres.
    pub async fn start(data: &Path, database: Option<&str>) -> Self {
        let mut variables = vec![("LIMITS", "off")];
        variables.extend(database.map(|url| ("DATABASE_URL", url)));
        let process = Process::start(data, &variables).await;
        let address = process.address;
        Self { process, address }
    }

    /// `kill -9`
    pub async fn kill(self) {
        self.process.kill().await;
    }

    pub async fn request(&self, user: &str, request: Request<'_>) -> Value {
        let http = http_client();
        let request = match request {
            Request::Get(path) => http.get(self.url(path)),
            Request::Post(path, body) => http.post(self.url(path)).json(&body),
        };
        let answer = within("an answer", request.bearer_auth(token(user, &[])).send()).await;
        let answer = answer.and_then(reqwest::Response::error_for_status).expect("a success");
        answer.json().await.expect("JSON")
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api{path}", self.address)
    }
}

pub enum Request<'a> {
    Get(&'a str),
    Post(&'a str, Value),
}

pub fn token(user: &str, roles: &[&str]) -> String {
    let now = Clock::system().now().seconds();
    sign(&json!({ "userId": user, "roles": roles, "iat": now, "exp": now + 3600 }), SECRET)
}

/// Someone who writes one message, or one batch of events, after another, until the server is gone.
struct Writer {
    user: String,
    token: String,
    /// What it writes, and what that is known by when it comes again.
    by: KnownBy,
    conversations: Vec<String>,
    /// What was begun; each has a text of its own.
    begun: usize,
    /// Whether the last of them was not acknowledged: it comes again.
    pending: bool,
    /// By its text, the id of the message that was acknowledged; each event of a batch is one.
    acknowledged: HashMap<String, String>,
}

#[derive(Clone, Copy, PartialEq)]
enum KnownBy {
    ClientMessageId,
    IdempotencyKey,
    IdempotencyKeyOfBatch,
}

impl Writer {
    fn new(user: String, by: KnownBy, conversations: Vec<String>) -> Self {
        let roles = if by == KnownBy::IdempotencyKeyOfBatch { &["service"][..] } else { &[] };
        let (token, acknowledged) = (token(&user, roles), HashMap::new());
        Self { user, token, by, conversations, begun: 0, pending: false, acknowledged }
    }

    /// The text of the last that was begun.
    fn last(&self) -> String {
        format!("{}.{}", self.user, self.begun)
    }

    /// Writes; with `most`, no more than so many, and none of them fails.
    async fn write(&mut self, address: SocketAddr, most: Option<usize>) {
        let http = http_client();
        let mut held = None::<Instant>;
        let mut written = 0;
        while most.is_none_or(|most| written < most) {
            if !self.pending {
                self.begun += 1;
                self.pending = true;
            }
            let name = self.last();
            let conversation = &self.conversations[self.begun % self.conversations.len()];
            let of = match self.by {
                KnownBy::IdempotencyKeyOfBatch => "emit/batch",
                _ => &format!("conversations/{conversation}/messages"),
            };
            let request = http.post(format!("http://{address}/api/{of}")).bearer_auth(&self.token);
            let request = match self.by {
                KnownBy::IdempotencyKeyOfBatch => {
                    request.header("idempotency-key", &name).json(&batch(&name, conversation))
                }
                KnownBy::ClientMessageId => {
                    request.json(&json!({ "content": name, "clientMessageId": name }))
                }
                KnownBy::IdempotencyKey => {
                    request.header("idempotency-key", &name).json(&json!({ "content": name }))
                }
            };
            let answer = request.send().await;
            // Acknowledged is what was answered whole.
            let answer = match answer {
                Ok(answer) => {
                    let status = answer.status();
                    answer.json::<Value>().await.map(|body| (status, body))
                }
                Err(error) => Err(error),
            };
            let (status, body) = match answer {
                Ok(answer) => answer,
                Err(error) if most.is_some() => panic!("{error}"),
                Err(_) => return,
            };
            if status == StatusCode::CONFLICT {
                // What another process may still carry out is free a moment later, and nobody says
                // when.
                let held_for = held.get_or_insert_with(Instant::now).elapsed();
                assert!(held_for < MAX_HELD, "held for {held_for:?}: {body}");
                sleep(ASK_AGAIN).await;
                continue;
            }
            held = None;
            assert!(status.is_success(), "{status} {body}");
            let ids: Vec<_> = if self.by == KnownBy::IdempotencyKeyOfBatch {
                let results = body["results"].as_array().expect("results");
                assert!(results.iter().all(|result| result["status"] == 202), "{body}");
                (0..results.len()).map(|at| (format!("{name}.{at}"), TOLD.to_owned())).collect()
            } else {
                vec![(name, body["message"]["id"].as_str().expect("an id").to_owned())]
            };
            for (name, id) in ids {
                assert!(self.acknowledged.insert(name, id).is_none(), "acknowledged twice");
            }
            self.pending = false;
            written += 1;
        }
    }
}

/// The name of the events that backends write, and what is said for the id of a message in them.
const TOLD: &str = "told";

/// A batch of events to a conversation.
fn batch(name: &str, conversation: &str) -> Value {
    let emits = (0..BATCH).map(|at| {
        let content = format!("{name}.{at}");
        let data = json!({ "conversationId": conversation, "content": content, "messageId": TOLD });
        let to = json!({ "room": format!("conversation:{conversation}") });
        json!({ "to": to, "event": TOLD, "data": data })
    });
    json!({ "emits": emits.collect::<Vec<_>>() })
}

/// What is known of a conversation.
struct Known {
    id: String,
    /// What is heard of it: its messages, or the batches of backends.
    event: &'static str,
    epoch: Value,
    /// The number of the last event that the listener heard.
    seq: i64,
    /// What the listener heard: by their texts, the messages' ids.
    heard: HashMap<String, String>,
    /// The same of the history, and the newest message that was read there.
    history: HashMap<String, String>,
    newest: Option<String>,
}

impl Known {
    /// Notes what was heard: each number and each message once.
    fn hear(&mut self, event: &Value) {
        self.seq += 1;
        if self.event != TOLD {
            assert_eq!(event["seq"], self.seq, "a hole or a double: {event}");
        }
        let (name, id) = named(event, "messageId");
        assert!(self.heard.insert(name, id).is_none(), "heard twice: {event}");
    }

    /// Reads what is new in the history.
    async fn read(&mut self, server: &Server) {
        if self.event == TOLD {
            assert_eq!(self.heard.len() % BATCH, 0, "half a batch");
            self.history.clone_from(&self.heard);
            return;
        }
        let after = self.newest.as_ref().map(|id| format!("&after={id}")).unwrap_or_default();
        let mut new = history(server, &self.id, &after).await;
        if self.newest.is_none() {
            new.reverse();
        }
        for message in &new {
            let (name, id) = named(message, "id");
            self.newest = Some(id.clone());
            assert!(self.history.insert(name, id).is_none(), "kept twice: {message}");
        }
    }
}

/// A message's text and id.
fn named(message: &Value, id: &str) -> (String, String) {
    let text = |field: &str| message[field].as_str().expect("a text").to_owned();
    let client_message_id = &message["clientMessageId"];
    assert!(client_message_id.is_null() || *client_message_id == message["content"], "{message}");
    (text("content"), text(id))
}

/// The messages of a conversation, newest first; those after one of them oldest first.
async fn history(server: &Server, conversation: &str, of: &str) -> Vec<Value> {
    let path = format!("/conversations/{conversation}/messages?limit=100{of}");
    let (mut messages, mut next) = (Vec::new(), path.clone());
    loop {
        let mut page = server.request("listener", Request::Get(&next)).await;
        messages.append(page["items"].as_array_mut().expect("a list"));
        let Some(cursor) = page["nextCursor"].as_str() else { return messages };
        next = format!("{path}&cursor={cursor}");
    }
}

/// Comes back to a server that was killed, and checks what it still knows.
async fn come_back(server: &Server, known: &mut [Known], writers: &[Writer]) -> Client {
    let options = Options::websocket().token(&token("listener", &[]));
    let mut listener = Client::connect(server.address, options).await.expect("a connection");
    for conversation in &mut *known {
        let since = conversation.seq;
        let join = json!({ "conversationId": conversation.id, "since": since });
        let ack = listener.emit_ack("conversation:join", join).await;
        assert_eq!((&ack["success"], &ack["recovered"]), (&json!(true), &json!(true)), "{ack}");
        for event in listener.queued(conversation.event) {
            assert_eq!(event["conversationId"], json!(conversation.id));
            conversation.hear(&event);
        }
        assert_eq!(ack["seq"], conversation.seq, "{ack}");
        assert_eq!(ack["replayed"], conversation.seq - since, "{ack}");
        if conversation.epoch.is_null() {
            conversation.epoch = ack["epoch"].clone();
        }
        assert_eq!(ack["epoch"], conversation.epoch);
        conversation.read(server).await;
        assert_eq!(conversation.heard, conversation.history, "events and messages differ");
    }
    let kept = |name: &str| known.iter().find_map(|known| known.history.get(name));
    for (name, id) in writers.iter().flat_map(|writer| &writer.acknowledged) {
        assert_eq!(kept(name), Some(id), "{name} was acknowledged");
    }
    listener
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_a_kill_and_is_there_once() {
    let kills = std::env::var("STOA_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    let mut chance = chance();
    let data = TempDir::new().expect("a folder");
    let database = test_database().await;
    let mut server = Server::start(data.path(), database.as_deref()).await;
    let names: Vec<_> = (0..WRITERS).map(|writer| format!("writer{writer}")).collect();
    let mut known = Vec::new();
    for event in [&["message:new"; CONVERSATIONS][..], &[TOLD]].concat() {
        let people = json!({ "participantIds": names, "type": "group" });
        let made = server.request("listener", Request::Post("/conversations", people)).await;
        let id = made["conversation"]["id"].as_str().expect("an id").to_owned();
        let (heard, history) = (HashMap::new(), HashMap::new());
        known.push(Known { id, event, epoch: Value::Null, seq: 0, heard, history, newest: None });
    }
    let mut conversations: Vec<_> = known.iter().map(|known| known.id.clone()).collect();
    let told = conversations.split_off(CONVERSATIONS);
    let ways = [KnownBy::ClientMessageId, KnownBy::IdempotencyKey].into_iter().cycle();
    let mut writers: Vec<_> = names
        .into_iter()
        .zip(ways)
        .map(|(name, by)| Writer::new(name, by, conversations.clone()))
        .collect();
    writers.extend((0..BACKENDS).map(|backend| {
        let by = KnownBy::IdempotencyKeyOfBatch;
        Writer::new(format!("backend{backend}"), by, told.clone())
    }));

    let (mut unanswered, mut unanswered_batches, mut unheard) = (0, 0, 0);
    for _ in 0..kills {
        let mut listener = come_back(&server, &mut known, &writers).await;
        let address = server.address;
        let mut writing = JoinSet::new();
        for mut writer in writers.drain(..) {
            writing.spawn(async move {
                writer.write(address, None).await;
                writer
            });
        }
        // Nothing is waited for: the moment is what is tried.
        sleep(Duration::from_millis(chance.random_range(50..=300))).await;
        server.kill().await;
        writers = within("the writers to see it", writing.join_all()).await;
        listener.closed().await;
        for event in ["message:new", TOLD].into_iter().flat_map(|name| listener.queued(name)) {
            let of = known.iter_mut().find(|known| event["conversationId"] == json!(known.id));
            of.expect("a conversation").hear(&event);
        }
        let heard: i64 = known.iter().map(|known| known.seq).sum();
        server = Server::start(data.path(), database.as_deref()).await;
        come_back(&server, &mut known, &writers).await.close().await;
        unheard += known.iter().map(|known| known.seq).sum::<i64>() - heard;
        let kept = |name: &String| known.iter().any(|known| known.history.contains_key(name));
        for writer in writers.iter().filter(|writer| writer.pending) {
            let last = writer.last();
            unanswered += usize::from(kept(&last));
            unanswered_batches += usize::from(kept(&format!("{last}.0")));
        }
    }

    // Who heard no answer asks again: in the end everything is there once, and nothing else.
    for writer in &mut writers {
        writer.write(server.address, Some(1)).await;
    }
    come_back(&server, &mut known, &writers).await;
    let told = known.iter().filter(|known| known.event == TOLD);
    let mut all: HashSet<_> = told.flat_map(|known| known.heard.clone()).collect();
    for conversation in &conversations {
        for message in history(&server, conversation, "").await {
            assert!(all.insert(named(&message, "id")), "kept twice: {message}");
        }
    }
    let acknowledged = writers.into_iter().flat_map(|writer| writer.acknowledged);
    assert_eq!(all, acknowledged.collect::<HashSet<_>>());
    let at_work = unanswered > 0 && unheard > 0;
    assert!(kills < KILLS || at_work, "it was never killed between a commit and its news");
    println!(
        "{kills} kills, {} messages and events; kept without an answer: {unanswered} messages and \
         {unanswered_batches} batches; unheard: {unheard}",
        all.len()
    );
}
