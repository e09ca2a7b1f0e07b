//! Who is typing where: told to both dialects, and ended when the client forgets to.

use std::{sync::Arc, time::Duration};

use dashmap::DashMap;
use tokio::time::Instant;
use uuid::Uuid;

use super::events::{
    conversation::{TypingStart, TypingStop},
    marketplace::UserTyping,
};
use crate::{
    error::{Code, Error, Result},
    id::Id,
    realtime::{Connection, Emitter, Observer},
    room::Room,
    tasks::Tasks,
    text::PersonName,
};

/// How often forgotten indicators are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Who is typing where. Cheap to clone.
#[derive(Clone)]
pub struct Typing(Arc<Inner>);

struct Inner {
    emitter: Emitter,
    timeout: Duration,
    /// By connection and conversation.
    active: DashMap<(Uuid, Id), Active>,
}

struct Active {
    user: Id,
    until: Instant,
}

impl Typing {
    /// Starts the task that ends what clients forget; it ends with the last clone.
    #[must_use]
    pub fn start_watch(emitter: Emitter, timeout: Duration, tasks: &Tasks) -> Self {
        let inner = Arc::new(Inner { emitter, timeout, active: DashMap::new() });
        let weak = Arc::downgrade(&inner);
        tasks.spawn_until_stopped("typing", async move {
            let mut every = tokio::time::interval(LOOK_EVERY);
            loop {
                every.tick().await;
                let Some(inner) = weak.upgrade() else { return };
                inner.end_forgotten();
            }
        });
        Self(inner)
    }

    /// A user is typing in a conversation that the connection is in.
    ///
    /// # Errors
    /// [`Code::Forbidden`] when it is not in there.
    pub fn start(
        &self,
        connection: &Connection,
        conversation: Id,
        claimed: Option<PersonName>,
    ) -> Result<()> {
        let identity = connection.known_identity()?;
        check(connection, &conversation)?;
        let user = identity.user_id.clone();
        let active = Active { user: user.clone(), until: Instant::now() + self.0.timeout };
        self.0.active.insert((connection.id(), conversation.clone()), active);
        // What a client says of itself counts only where its token says nothing.
        let user_name = identity.display_name().or(claimed).map(String::from);
        self.0.announce_start(user, user_name, conversation);
        Ok(())
    }

    /// The user stopped.
    ///
    /// # Errors
    /// [`Code::Forbidden`] when the connection is not in the conversation.
    pub fn stop(&self, connection: &Connection, conversation: Id) -> Result<()> {
        let user = connection.known_identity()?.user_id.clone();
        check(connection, &conversation)?;
        self.0.active.remove(&(connection.id(), conversation.clone()));
        self.0.announce_stop(user, conversation);
        Ok(())
    }

    /// The connection leaves a conversation: the user no longer types there.
    pub fn leave(&self, connection: &Connection, conversation: &Id) {
        let key = (connection.id(), conversation.clone());
        if let Some((_, active)) = self.0.active.remove(&key) {
            self.0.announce_stop(active.user, key.1);
        }
    }
}

/// Only who is in a conversation types there.
fn check(connection: &Connection, conversation: &Id) -> Result<()> {
    let rooms = [Room::Conversation(conversation.clone()), Room::Chat(conversation.clone())];
    if rooms.iter().any(|room| connection.is_in(room)) {
        Ok(())
    } else {
        Err(Error::new(Code::Forbidden, "Join the conversation first."))
    }
}

impl Inner {
    fn announce_start(&self, user_id: Id, user_name: Option<String>, conversation_id: Id) {
        let for_chat = UserTyping {
            chat_id: conversation_id.clone(),
            user_id: user_id.clone(),
            user_name: user_name.clone(),
            is_typing: true,
        };
        let user_name = user_name.unwrap_or_else(|| user_id.to_string());
        let start = TypingStart { user_id, user_name, conversation_id };
        let (conversation, user) = (&start.conversation_id, Some(&start.user_id));
        self.emitter.broadcast_to_conversation(conversation, &start, &for_chat, user);
    }

    fn announce_stop(&self, user_id: Id, conversation_id: Id) {
        let for_chat = UserTyping {
            chat_id: conversation_id.clone(),
            user_id: user_id.clone(),
            user_name: None,
            is_typing: false,
        };
        let stop = TypingStop { user_id, conversation_id };
        let (conversation, user) = (&stop.conversation_id, Some(&stop.user_id));
        self.emitter.broadcast_to_conversation(conversation, &stop, &for_chat, user);
    }

    fn end_forgotten(&self) {
        let now = Instant::now();
        let mut forgotten = Vec::new();
        self.active.retain(|(_, conversation), active| {
            let keep = active.until > now;
            if !keep {
                forgotten.push((active.user.clone(), conversation.clone()));
            }
            keep
        });
        for (user, conversation) in forgotten {
            self.announce_stop(user, conversation);
        }
    }
}

impl Observer for Typing {
    fn arrived(&self, _: &Connection, _: &Id) {}

    fn left(&self, connection: &Connection, rooms: &[Room]) {
        for room in rooms {
            if let Room::Conversation(id) | Room::Chat(id) = room {
                self.leave(connection, id);
            }
        }
    }
}
