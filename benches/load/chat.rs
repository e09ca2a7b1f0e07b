//! Messages: written over sockets, acknowledged once they are stored, received by the others of
//! their conversation. One that is refused, lost or doubled ends the run.

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    histogram::Histogram,
    swarm::Swarm,
    tally::{self, Inbox},
    token,
};

const STEP: Duration = Duration::from_millis(100);
const REST_PATIENCE: Duration = Duration::from_secs(10);
/// Fills the content up to 64 bytes.
const FILLING: &str = ".................................................";

/// What all writers count.
#[derive(Default)]
pub struct Chat {
    /// The ids of the conversations.
    pub conversations: Vec<String>,
    /// How many write in each, one after the other in the order of their users.
    pub people: u32,
    /// How many messages of a writer may be under way; with 0 nobody writes.
    window: usize,
    sent: u64,
    acknowledged: u64,
    received: u64,
    latency: Histogram,
}

/// What a run of messages yielded between its two readings.
pub struct Written<R> {
    /// Messages acknowledged in that time.
    pub acknowledged: u64,
    /// Messages that others received in that time.
    pub received: u64,
    /// Messages acknowledged since the connections exist.
    pub in_all: u64,
    /// The time.
    pub elapsed: Duration,
    /// Median time from writing to the acknowledgement, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 acknowledgements took at most so long.
    pub p99_ms: f64,
    /// What was read at the start.
    pub before: R,
    /// What was read at the end.
    pub after: R,
}

/// One who writes, and what it has of the others.
#[derive(Default)]
pub struct Writer {
    next: u32,
    waiting: VecDeque<(u32, Instant)>,
    inboxes: Vec<Inbox>,
}

impl Writer {
    /// The next `message:send` of this user, unless as many as may be are under way.
    pub fn write(&mut self, conversation: usize, user: u32, chat: &mut Chat) -> Option<String> {
        if self.waiting.len() >= chat.window {
            return None;
        }
        let number = self.next;
        let mark = tally::mark(user as usize, number);
        self.next += 1;
        chat.sent += 1;
        self.waiting.push_back((number, Instant::now()));
        Some(format!(
            r#"42{number}["message:send",{{"conversationId":"{}","content":"{mark}{FILLING}","clientMessageId":"{user}-{number}"}}]"#,
            chat.conversations[conversation]
        ))
    }

    /// An acknowledgement came: what follows the `43` of its packet.
    ///
    /// # Errors
    /// When it refuses, or acknowledges what was not under way.
    pub fn acknowledged(&mut self, packet: &[u8], chat: &mut Chat, now: Instant) -> Result<()> {
        let digits = packet.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number: u32 = str::from_utf8(&packet[..digits])?.parse()?;
        ensure!(
            packet[digits..].starts_with(br#"[{"success":true"#),
            "a message was refused: {}",
            String::from_utf8_lossy(packet)
        );
        let place = self.waiting.iter().position(|(waiting, _)| *waiting == number);
        let at = place.and_then(|place| self.waiting.remove(place));
        let (_, written) =
            at.with_context(|| format!("message {number} was acknowledged twice"))?;
        chat.acknowledged += 1;
        chat.latency.record(now.saturating_duration_since(written));
        Ok(())
    }

    /// A `message:new` of `author` came to `user`.
    ///
    /// # Errors
    /// When it came before, or was not for this user.
    pub fn received(
        &mut self,
        user: u32,
        (author, number): (usize, u32),
        chat: &mut Chat,
    ) -> Result<()> {
        let (user, people) = (user as usize, chat.people as usize);
        ensure!(author / people == user / people, "a message reached another conversation");
        ensure!(author != user, "a message reached its own writer");
        let place = author % people;
        if self.inboxes.len() <= place {
            self.inboxes.resize_with(place + 1, Inbox::default);
        }
        self.inboxes[place].put(number)?;
        chat.received += 1;
        Ok(())
    }
}

impl Chat {
    fn is_quiet(&self) -> bool {
        self.acknowledged == self.sent
            && self.received == self.sent * u64::from(self.people.saturating_sub(1))
    }
}

impl Swarm {
    /// All write, each with `window` messages under way, and acknowledgements are counted between
    /// two readings: after `warm` and `measure` later. Then waits for what is still out.
    ///
    /// # Errors
    /// When a message is refused, lost, doubled, or for someone else.
    pub fn chat<R>(
        &mut self,
        window: usize,
        warm: Duration,
        measure: Duration,
        mut read: impl FnMut() -> Result<R>,
    ) -> Result<Written<R>> {
        self.tally.chat.window = window;
        self.write()?;
        self.idle(warm)?;
        self.tally.chat.latency.clear();
        let (start, before) = (Instant::now(), read()?);
        let (acknowledged, received) = (self.tally.chat.acknowledged, self.tally.chat.received);
        self.idle(measure)?;
        let (elapsed, after) = (start.elapsed(), read()?);
        let chat = &mut self.tally.chat;
        let mut written = Written {
            acknowledged: chat.acknowledged - acknowledged,
            received: chat.received - received,
            in_all: 0,
            elapsed,
            p50_ms: chat.latency.percentile_ms(50),
            p99_ms: chat.latency.percentile_ms(99),
            before,
            after,
        };
        chat.window = 0;
        let start = Instant::now();
        while !self.tally.chat.is_quiet() && start.elapsed() < self.patience {
            self.idle(STEP)?;
        }
        self.settle(self.patience)?;
        let chat = &self.tally.chat;
        if !chat.is_quiet() {
            let Chat { sent, acknowledged, received, .. } = chat;
            bail!("{sent} messages: {acknowledged} acknowledged, {received} received by others");
        }
        ensure!(written.acknowledged > 0, "no message was acknowledged");
        written.in_all = chat.acknowledged;
        Ok(written)
    }
}

/// Begins a group of these users over REST, as the first of them; its id.
///
/// # Errors
/// When it is refused.
pub fn begin_group(server: SocketAddr, users: &[u32]) -> Result<String> {
    let people: Vec<_> = users.iter().copied().map(token::user).collect();
    let body = json!({ "participantIds": people, "type": "group" }).to_string();
    let token = token::sign(*users.first().context("a group of nobody")?)?;
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(REST_PATIENCE))?;
    let request = format!(
        "POST /api/conversations HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("half an answer")?;
    ensure!(head.starts_with("HTTP/1.1 201"), "no conversation was made: {answer}");
    let body: Value = serde_json::from_str(body)?;
    let id = body["conversation"]["id"].as_str().context("a conversation without id")?;
    Ok(id.to_owned())
}
