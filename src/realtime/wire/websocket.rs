//! A session on a websocket: what the client sends is read, put together and given to whom it is for, in
//! one small task a socket, which keeps nothing between two messages. What it is sent goes out by its
//! [`Lane`].

use std::{
    cell::Cell,
    pin::Pin,
    sync::Arc,
    task::{self, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::{task::coop::poll_proceed, time::Sleep};

use super::{
    attachments::Incomplete,
    messages::{Fault, Message, Messages},
    takeover::take_over,
};
use crate::{
    event::Namespace,
    metrics,
    realtime::{
        connection::{Connection, Context, Stopped},
        events::ClosingReason,
        frame,
        lane::{Lane, Reading},
        link::Link,
        packet::{self, Kind, Malformed, Packet},
    },
};

/// Bytes read at once.
const READ: usize = 16 * 1024;

/// Bytes of a message from somebody who is not connected yet: a CONNECT with a token of 16 KiB has fewer.
const BEFORE_CONNECT: usize = 64 * 1024;

thread_local! {
    /// Where the sockets of a thread are read into, one after the other.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// One websocket, from the side of what the client sends.
pub(super) struct Websocket {
    context: Arc<Context>,
    link: Arc<Link>,
    lane: Arc<Lane>,
    stage: Stage,
    /// What was read and is not dealt with.
    rest: Vec<u8>,
    messages: Messages,
    incomplete: Option<Box<Incomplete>>,
    /// Who is connected over it, one for each namespace.
    connections: Vec<Arc<Connection>>,
    /// What has to come to its end before anything else is read. None ends the session.
    busy: Option<BoxFuture<'static, Option<Vec<Arc<Connection>>>>>,
    /// When something has to have come by: somebody who connects, the change of transport, an event's
    /// attachments.
    deadline: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The session is here.
    Here,
    /// It is a polling session, which may come over.
    Probing,
    /// It is about to.
    Probed,
}

/// Why nothing more is read.
enum End {
    /// The client is told what it did wrong.
    Fault(Fault),
    /// The client closes the websocket, with this status if any.
    Close(Option<u16>),
    /// It is said by somebody else, or nobody.
    Quiet,
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Stopped> for End {
    fn from(Stopped: Stopped) -> Self {
        Self::Quiet
    }
}

impl From<Malformed> for End {
    fn from(Malformed: Malformed) -> Self {
        Self::Quiet
    }
}

impl Websocket {
    /// Opens a session on a websocket, or tries to have a polling session come over to it. The client may
    /// have sent some bytes along with its request, and what that is answered may still be to be sent.
    pub(super) fn start(
        context: Arc<Context>,
        link: Arc<Link>,
        lane: Arc<Lane>,
        early: Vec<u8>,
        mut answer: Vec<u8>,
        opening: Option<&str>,
    ) {
        let tasks = context.tasks.clone();
        let mut websocket = Self {
            context,
            link,
            lane,
            stage: Stage::Probing,
            rest: early,
            messages: Messages::default(),
            incomplete: None,
            connections: Vec::new(),
            busy: None,
            deadline: None,
        };
        if let Some(opening) = opening {
            answer.extend_from_slice(&frame::text(&[opening]));
            websocket.link.start_on(websocket.lane.clone());
        }
        if !answer.is_empty() {
            websocket.lane.send((&Bytes::from(answer)).into());
        }
        if opening.is_some() {
            websocket.begin();
            if websocket.link.is_v3() {
                // It is in the root namespace without asking.
                websocket.connect(Namespace::Root, None);
            }
        } else {
            websocket.expect_within(websocket.context.times.upgrade);
        }
        tasks.spawn_until_stopped("websocket", websocket);
    }

    /// The session is here from now on.
    fn begin(&mut self) {
        self.stage = Stage::Here;
        let (shard, is_v3) = (self.link.shard(), self.link.is_v3());
        self.context.heartbeats.begin(shard, &self.lane, is_v3);
        self.expect_within(self.context.times.connect);
    }

    /// They are connected from now on, each in the place of who was in its namespace before.
    fn arrive(&mut self, arrived: Vec<Arc<Connection>>) {
        let Ok(hooks) = self.context.hooks() else { return };
        for connection in arrived {
            if let Some(earlier) = self.leave(connection.namespace()) {
                hooks.ended(&earlier);
            }
            self.connections.reserve_exact(1);
            self.connections.push(connection);
        }
        if !self.connections.is_empty() {
            self.deadline = None;
        }
    }

    /// Whoever is connected to a namespace is not any more.
    fn leave(&mut self, namespace: Namespace) -> Option<Arc<Connection>> {
        let at = self.connections.iter().position(|it| it.namespace() == namespace)?;
        Some(self.connections.swap_remove(at))
    }

    fn connection(&self, namespace: Namespace) -> Option<&Arc<Connection>> {
        self.connections.iter().find(|connection| connection.namespace() == namespace)
    }

    fn expect_within(&mut self, time: Duration) {
        self.deadline = Some(Box::pin(tokio::time::sleep(time)));
    }

    /// Time is up; whether the session goes on.
    fn outlasts_deadline(&mut self) -> bool {
        self.deadline = None;
        let is_whole = self.stage == Stage::Here && self.incomplete.is_none();
        is_whole && !self.connections.is_empty()
    }

    /// Deals with what was read, as far as it goes now.
    fn hear(&mut self, read: &mut [u8]) {
        if self.rest.is_empty() {
            let dealt = self.hear_all(read);
            self.rest.extend_from_slice(&read[dealt..]);
        } else {
            self.rest.extend_from_slice(read);
            self.hear_rest();
        }
    }

    fn hear_rest(&mut self) {
        let mut rest = std::mem::take(&mut self.rest);
        let dealt = self.hear_all(&mut rest);
        if dealt < rest.len() {
            rest.drain(..dealt);
            self.rest = rest;
        }
    }

    /// Deals with the frames in some bytes; with how many bytes.
    fn hear_all(&mut self, bytes: &mut [u8]) -> usize {
        let mut dealt = 0;
        while dealt < bytes.len() && self.busy.is_none() && self.lane.is_read() {
            let is_stranger = self.connections.is_empty();
            let most = self.lane.tolerance().max_payload_bytes;
            let most = if is_stranger { most.min(BEFORE_CONNECT) } else { most };
            let heard = match self.messages.read(&mut bytes[dealt..], most) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    dealt += frame.size;
                    self.message(frame.message)
                }
                Err(fault) => Err(fault.into()),
            };
            if let Err(end) = heard {
                match end {
                    End::Fault(fault) => self.lane.close_as(Some(fault as u16)),
                    End::Close(status) => self.lane.close_as(status),
                    End::Quiet => self.lane.close(None),
                }
                return bytes.len();
            }
        }
        dealt
    }

    fn message(&mut self, message: Message<'_>) -> Result<(), End> {
        if let Some(limit) = &self.lane.tolerance().packets
            && !self.link.take_packets(1, limit)
        {
            if self.context.close_because(&self.link, ClosingReason::RateLimited) {
                metrics::rate_limited().increment(1);
            }
            // Nothing more of it is heard until that is said.
            self.busy = Some(Box::pin(std::future::pending()));
            return Ok(());
        }
        match message {
            Message::Text(text) => {
                self.context.watch.heard(1, text.len());
                self.packet(&text)
            }
            Message::Binary(bytes) => {
                self.attachment(packet::attachment(&bytes, self.link.is_v3())?)
            }
            Message::Ping(payload) => {
                self.lane.send((&frame::pong(payload)).into());
                Ok(())
            }
            Message::Close(status) => Err(End::Close(status)),
            Message::Nothing => Ok(()),
        }
    }

    fn packet(&mut self, text: &str) -> Result<(), End> {
        let is_v3 = self.link.is_v3();
        let packet = Packet::read(text, is_v3)?;
        match (self.stage, packet) {
            (Stage::Probing, Packet::Ping("probe")) => {
                let polls = self.link.polls().filter(|_| !self.link.is_on_websocket());
                if !polls.is_some_and(|polls| polls.upgrade()) {
                    return Err(End::Quiet);
                }
                self.stage = Stage::Probed;
                self.lane.send((&frame::text(&["3probe"])).into());
            }
            (Stage::Probed, Packet::Upgrade) => {
                let (context, link) = (self.context.clone(), self.link.clone());
                self.busy = Some(Box::pin(take_over(context, link, self.lane.clone())));
            }
            (Stage::Here, Packet::Message(text)) => return self.socket_io(text),
            (Stage::Here, Packet::Binary(bytes)) => return self.attachment(&bytes),
            (Stage::Here, Packet::Pong) => {
                self.context.heartbeats.pong(self.link.shard(), &self.lane);
            }
            (Stage::Here, Packet::Ping(data)) if is_v3 => {
                self.context.heartbeats.heard(&self.lane);
                self.lane.send((&frame::text(&["3", data])).into());
            }
            // In version 4 clients do not ping, and nothing is meant by it.
            (Stage::Here, Packet::Upgrade | Packet::Noop | Packet::Ping(_)) => {}
            _ => return Err(End::Quiet),
        }
        Ok(())
    }

    fn socket_io(&mut self, text: &str) -> Result<(), End> {
        if self.incomplete.is_some() {
            // Its attachments come first.
            return Err(End::Quiet);
        }
        let packet::Message { namespace: path, kind } = packet::Message::read(text)?;
        let Some(namespace) = Namespace::asked_for(path) else {
            if matches!(kind, Kind::Connect(_)) {
                let refusal = frame::refused(path, "Invalid namespace", self.link.is_v3());
                self.lane.send((&refusal).into());
            }
            return Ok(());
        };
        match kind {
            Kind::Connect(auth) => self.connect(namespace, auth.map(Into::into)),
            Kind::Disconnect => {
                if let Some(connection) = self.leave(namespace) {
                    self.context.hooks()?.left(&connection);
                }
            }
            Kind::Event { attachments: 0, arguments, ack } => {
                self.event(namespace, arguments, false, ack)?;
            }
            Kind::Answer { attachments: 0 } => {}
            Kind::Event { attachments, .. } | Kind::Answer { attachments } => {
                self.incomplete = Some(Incomplete::new(namespace, &kind, attachments)?);
                self.expect_within(self.context.times.connect);
            }
        }
        Ok(())
    }

    fn connect(&mut self, namespace: Namespace, auth: Option<Box<str>>) {
        let Ok(hooks) = self.context.hooks() else { return };
        let connecting = hooks.connect(self.link.clone(), namespace, auth);
        self.busy = Some(Box::pin(connecting.map(|arrived| Some(arrived.into_iter().collect()))));
    }

    fn event(
        &self,
        namespace: Namespace,
        arguments: &str,
        is_binary: bool,
        ack: Option<i64>,
    ) -> Result<(), End> {
        // Who is in there no more may have sent it before they heard.
        if let Some(connection) = self.connection(namespace) {
            self.context.hooks()?.hear(connection, arguments, is_binary, ack);
        }
        Ok(())
    }

    fn attachment(&mut self, bytes: &[u8]) -> Result<(), End> {
        let most = self.lane.tolerance().max_payload_bytes;
        let mut incomplete = self.incomplete.take().ok_or(Malformed)?;
        if !incomplete.takes(bytes, most)? {
            self.incomplete = Some(incomplete);
            return Ok(());
        }
        if !self.connections.is_empty() {
            self.deadline = None;
        }
        let Incomplete { namespace, event, .. } = *incomplete;
        let Some((arguments, ack)) = event else { return Ok(()) };
        self.event(namespace, &arguments, true, ack)
    }

    /// Reads what there is; false at the end of it.
    fn read(&mut self) -> bool {
        let mut buffer = BUFFER.take();
        buffer.resize(READ, 0);
        // Who comes in sends one thing and waits. Of who sends much, what is read by asking once more goes
        // on together.
        let read = if self.connections.is_empty() {
            self.lane.try_read_once(&mut buffer)
        } else {
            self.lane.try_read(&mut buffer)
        };
        let goes_on = match read {
            Ok(0) => false,
            Ok(read) => {
                self.hear(&mut buffer[..read]);
                true
            }
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        };
        BUFFER.set(buffer);
        goes_on
    }
}

impl Future for Websocket {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            let reading = this.lane.reading(cx.waker());
            if reading == Reading::Ended {
                return Poll::Ready(());
            }
            if let Some(deadline) = &mut this.deadline
                && deadline.as_mut().poll(cx).is_ready()
                && !this.outlasts_deadline()
            {
                this.lane.close(None);
                return Poll::Ready(());
            }
            if let Some(busy) = &mut this.busy {
                let Some(arrived) = ready!(busy.as_mut().poll(cx)) else {
                    this.lane.close(None);
                    return Poll::Ready(());
                };
                this.busy = None;
                if this.stage == Stage::Probed {
                    this.begin();
                }
                this.arrive(arrived);
                continue;
            }
            if reading == Reading::Paused {
                return Poll::Pending;
            }
            let before = this.rest.len();
            if before > 0 {
                // Each of these counts as a read, so that a peer that floods leaves others the thread.
                let budget = ready!(poll_proceed(cx));
                this.hear_rest();
                if this.rest.len() < before {
                    budget.made_progress();
                    continue;
                }
            }
            if this.busy.is_some() {
                continue;
            }
            match ready!(this.lane.poll_read_ready(cx)) {
                Ok(()) if this.read() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl Drop for Websocket {
    fn drop(&mut self) {
        if self.stage == Stage::Here {
            if let Ok(hooks) = self.context.hooks() {
                self.connections.drain(..).for_each(|connection| hooks.ended(&connection));
            }
            self.link.vacate(&self.lane);
        } else if let Some(polls) = self.link.polls().filter(|_| self.stage == Stage::Probed) {
            polls.stay();
        }
        self.lane.finish();
    }
}
