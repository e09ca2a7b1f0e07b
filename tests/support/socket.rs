//! A small Socket.IO client that hides nothing: every packet can be seen and sent as it is.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt::Display,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::{
    DEADLINE,
    options::{ConnectError, Options, Transport},
    packet::{self, Packet},
    transcript::Transcript,
    transport::{self, Command, Route, Wire},
    within,
};

/// Presence of others reaches everyone at any time: `expect_nothing_before` looks past it.
const AMBIENT: [&str; 3] = ["user:online", "user:offline", "user-status-change"];

/// The prefix of the events that tests send to see that nothing came before them.
pub const FENCE: &str = "test.fence";

/// One connection, with one or more namespaces on it. Dropped, it leaves without a word.
pub struct Client {
    namespace: String,
    protocol: u8,
    commands: mpsc::UnboundedSender<Command>,
    wire: mpsc::UnboundedReceiver<Wire>,
    unread: VecDeque<Packet>,
    ended: Option<String>,
    last_id: u64,
    /// What went over this connection, and what its user called meanwhile.
    pub(super) transcript: Transcript,
}

impl Client {
    /// Connects, to the namespace too.
    pub async fn connect(address: SocketAddr, options: Options) -> Result<Self, ConnectError> {
        let (namespace, auth) = (options.namespace.clone(), options.auth.clone());
        let upgrade = options.transport == Transport::Upgrade;
        let mut client = Self::open(address, options).await?;
        if client.protocol == 3 {
            // The server connects `/` by itself, and other namespaces come after it.
            client.connected("/").await?;
        }
        if client.protocol == 4 || namespace != "/" {
            client.join_namespace(&namespace, &auth).await?;
        }
        client.namespace = namespace;
        if upgrade {
            client.upgrade().await;
        }
        Ok(client)
    }

    /// Opens the transport only: the server waits for CONNECT.
    pub async fn open(address: SocketAddr, options: Options) -> Result<Self, ConnectError> {
        let route = Route {
            address,
            protocol: options.protocol,
            headers: options.headers,
            query: options.query,
            answer_pings: options.answer_pings,
            receive_buffer: options.receive_buffer,
        };
        let (commands, wire) = within("the transport", async {
            match options.transport {
                Transport::Websocket => transport::websocket(route).await,
                Transport::Polling | Transport::Upgrade => transport::polling(route).await,
            }
        })
        .await?;
        Ok(Self {
            namespace: options.namespace,
            protocol: options.protocol,
            commands,
            wire,
            unread: VecDeque::new(),
            ended: None,
            last_id: 0,
            transcript: Transcript::default(),
        })
    }

    /// Connects to one more namespace of this connection; gives CONNECT's data.
    pub async fn join_namespace(
        &mut self,
        namespace: &str,
        auth: &Value,
    ) -> Result<Value, ConnectError> {
        let auth = if self.protocol == 4 { auth } else { &Value::Null };
        self.send_raw(packet::connect(namespace, auth));
        self.connected(namespace).await
    }

    async fn connected(&mut self, wanted: &str) -> Result<Value, ConnectError> {
        let answer = self
            .take(format!("CONNECT's answer on {wanted}"), |packet| match packet {
                Packet::Connected { namespace, data } if namespace == wanted => {
                    Some(Ok(data.clone()))
                }
                Packet::Refused { namespace, error } if namespace == wanted => {
                    let message = error["message"].as_str().or(error.as_str());
                    let message = message.expect("a connect_error has a message").to_owned();
                    Some(Err(ConnectError::Refused { message }))
                }
                _ => None,
            })
            .await;
        answer.unwrap_or_else(|how| Err(ConnectError::Closed(how)))
    }

    /// Changes from polling to websocket.
    pub async fn upgrade(&mut self) {
        self.start_upgrade().await.expect("the connection ended before it was upgraded");
    }

    /// Begins the change of transport; what is returned ends when it is done.
    pub fn start_upgrade(&mut self) -> oneshot::Receiver<()> {
        let (done, when_done) = oneshot::channel();
        self.command(Command::Upgrade(done));
        when_done
    }

    /// Emits an event without a callback.
    pub fn emit(&mut self, event: &str, argument: impl Into<Value>) {
        self.send_raw(packet::event(&self.namespace, None, event, &argument.into()));
    }

    /// Emits an event with a callback; gives the id that [`Client::ack`] asks for.
    pub fn emit_with_ack(&mut self, event: &str, argument: impl Into<Value>) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.send_raw(packet::event(&self.namespace, Some(id), event, &argument.into()));
        id
    }

    /// Emits an event and awaits its acknowledgement.
    pub async fn emit_ack(&mut self, event: &str, argument: impl Into<Value>) -> Value {
        let id = self.emit_with_ack(event, argument);
        self.ack(id).await
    }

    /// The acknowledgement with that id.
    pub async fn ack(&mut self, wanted: u64) -> Value {
        let args = self.ack_args(wanted).await;
        assert_eq!(args.len(), 1, "an acknowledgement has one argument: {args:?}");
        args.into_iter().next().expect("one argument")
    }

    /// All arguments of the acknowledgement with that id.
    pub async fn ack_args(&mut self, wanted: u64) -> Vec<Value> {
        let found = self.take(format!("acknowledgement {wanted}"), |packet| match packet {
            Packet::Ack { id, args, .. } if *id == wanted => Some(args.clone()),
            _ => None,
        });
        found.await.unwrap_or_else(|how| panic!("{how} before acknowledgement {wanted}"))
    }

    /// The next acknowledgement, whichever it is.
    pub async fn next_ack(&mut self) -> (u64, Value) {
        self.take("an acknowledgement", |packet| match packet {
            Packet::Ack { id, args, .. } => Some((*id, args[0].clone())),
            _ => None,
        })
        .await
        .unwrap_or_else(|how| panic!("{how} before an acknowledgement"))
    }

    /// The first argument of the next such event; others stay queued.
    pub async fn expect(&mut self, event: &str) -> Value {
        let namespace = self.namespace.clone();
        self.expect_in(&namespace, event).await
    }

    /// [`Client::expect`] on another namespace of this connection.
    pub async fn expect_in(&mut self, wanted: &str, event: &str) -> Value {
        let mut args = self.expect_args(wanted, event).await;
        if args.is_empty() { Value::Null } else { args.swap_remove(0) }
    }

    /// All arguments of the next such event: a kept event carries its offset as the last.
    pub async fn expect_args(&mut self, wanted: &str, event: &str) -> Vec<Value> {
        let found = self.take(format!("{event} on {wanted}"), |packet| match packet {
            Packet::Event { namespace, name, args } if namespace == wanted && name == event => {
                Some(args.clone())
            }
            _ => None,
        });
        found.await.unwrap_or_else(|how| panic!("{how} before {event}"))
    }

    /// Awaits an event and fails when anything the test has not taken came before it, be it an
    /// acknowledgement; presence of others aside.
    pub async fn expect_nothing_before(&mut self, fence: &str) {
        let wanted = self.namespace.clone();
        self.expect_in(&wanted, fence).await;
        let other = self.unread.iter().find(|packet| match packet {
            Packet::Event { name, .. } => {
                !AMBIENT.contains(&name.as_str()) && !name.starts_with(FENCE)
            }
            _ => true,
        });
        assert!(other.is_none(), "nothing was to come before {fence}, but {other:?} did");
    }

    /// Takes every such event that came while the test waited for others.
    pub fn queued(&mut self, event: &str) -> Vec<Value> {
        let (taken, kept) = self
            .unread
            .drain(..)
            .partition(|packet| matches!(packet, Packet::Event { name, .. } if name == event));
        self.unread = kept;
        let taken: VecDeque<Packet> = taken;
        let first = |packet| match packet {
            Packet::Event { args, .. } => args.into_iter().next().unwrap_or_default(),
            _ => Value::Null,
        };
        taken.into_iter().map(first).collect()
    }

    /// The names of the events that came while the test waited for others.
    pub fn unread_events(&self) -> BTreeSet<String> {
        let names = self.unread.iter().filter_map(|packet| match packet {
            Packet::Event { name, .. } => Some(name.clone()),
            _ => None,
        });
        names.collect()
    }

    /// What went over it since this was asked for, pings and presence of others aside.
    pub fn said(&self) -> String {
        let is_ambient = |line: &str| {
            AMBIENT.iter().chain([&FENCE]).any(|name| line.contains(&format!("[\"{name}")))
        };
        self.transcript.take(|line| !line.ends_with(" 2") && !is_ambient(line))
    }

    /// Whether DISCONNECT has come: after it a browser does not come back by itself.
    pub fn was_disconnected(&self) -> bool {
        self.unread.iter().any(|packet| matches!(packet, Packet::Disconnected { .. }))
    }

    /// Awaits the end of the connection and tells how it came.
    pub async fn closed(&mut self) -> String {
        self.closed_within(DEADLINE).await
    }

    /// [`Client::closed`] with a deadline of its own.
    pub async fn closed_within(&mut self, deadline: Duration) -> String {
        let until = Instant::now() + deadline;
        while self.ended.is_none() {
            if let Some(packet) = self.read(&"the end of the connection", until).await {
                self.queue(&packet);
            }
        }
        self.ended.clone().expect("an end")
    }

    /// The next Engine.IO packet as it came, pings and `CONNECT` too.
    pub async fn next_raw(&mut self) -> String {
        let packet = self.read(&"a packet", Instant::now() + DEADLINE).await;
        packet.unwrap_or_else(|| panic!("{} before a packet", self.ended.as_deref().unwrap_or("?")))
    }

    /// Sends an Engine.IO packet as it is.
    pub fn send_raw(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.transcript.sent(&text);
        self.command(Command::Send(text));
    }

    /// Leaves as a browser does.
    pub async fn close(mut self) {
        self.send_raw(packet::disconnect(&self.namespace));
        self.command(Command::Close);
        self.closed().await;
    }

    /// Cuts the connection without a word.
    pub async fn abort(mut self) {
        self.command(Command::Abort);
        self.closed().await;
    }

    /// Reads nothing more, as a phone in a tunnel.
    pub fn stop_reading(&mut self) {
        self.command(Command::StopReading);
    }

    fn command(&mut self, command: Command) {
        // A connection that has ended shows itself at the next read.
        let _ = self.commands.send(command);
    }

    /// The first packet, held or to come, that `wanted` takes; `Err` tells how the connection ended.
    async fn take<T>(
        &mut self,
        what: impl Display,
        mut wanted: impl FnMut(&Packet) -> Option<T>,
    ) -> Result<T, String> {
        let unread = self.unread.iter().enumerate();
        if let Some((at, found)) = unread.into_iter().find_map(|(at, p)| Some((at, wanted(p)?))) {
            self.unread.remove(at);
            return Ok(found);
        }
        let until = Instant::now() + DEADLINE;
        loop {
            let Some(text) = self.read(&what, until).await else {
                return Err(self.ended.clone().expect("an end"));
            };
            if let Some(packet) = Packet::parse(&text) {
                match wanted(&packet) {
                    Some(found) => return Ok(found),
                    None => self.unread.push_back(packet),
                }
            }
        }
    }

    fn queue(&mut self, text: &str) {
        self.unread.extend(Packet::parse(text));
    }

    /// The next packet; none when the connection has ended.
    async fn read(&mut self, what: &impl Display, until: Instant) -> Option<String> {
        if self.ended.is_some() {
            return None;
        }
        let Ok(wire) = tokio::time::timeout_at(until.into(), self.wire.recv()).await else {
            panic!("waited for {what}; until then came {:?}", self.unread);
        };
        match wire {
            Some(Wire::Packet(text)) => {
                self.transcript.received(&text);
                return Some(text);
            }
            Some(Wire::Closed(how)) => {
                self.transcript.received(&how);
                self.ended = Some(how);
            }
            None => self.ended = Some("the transport's task ended".to_owned()),
        }
        None
    }
}
