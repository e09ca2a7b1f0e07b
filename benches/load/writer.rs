//! One who writes messages over a socket, and receives those of the others.

use std::{collections::VecDeque, time::Instant};

use anyhow::{Context, Result, ensure};

use super::tally::{self, Chat, Inbox};

/// Fills the content up to 64 bytes.
const FILLING: &str = ".................................................";

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
        let index = self.waiting.iter().position(|(waiting, _)| *waiting == number);
        let at = index.and_then(|index| self.waiting.remove(index));
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
        let index = author % people;
        if self.inboxes.len() <= index {
            self.inboxes.resize_with(index + 1, Inbox::default);
        }
        self.inboxes[index].put(number)?;
        chat.received += 1;
        Ok(())
    }
}
