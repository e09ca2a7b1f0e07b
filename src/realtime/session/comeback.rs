//! Those who come back: what a client says of itself when it connects, and how it gets its session again.
//! What can't be brought back whole is not brought back at all.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::Lifecycle;
use crate::{
    auth::{Identity, Role, TokenError, given_token},
    db::Reach,
    event::Namespace,
    metrics,
    realtime::{
        connection::Connection,
        link::Link,
        recovery::{Pid, Recovery, Session, Taken},
        restore::{Past, missed},
    },
    room::Room,
    text::well_formed,
};

/// What a client says of itself.
#[derive(Default)]
pub(super) struct Said {
    pub(super) token: Option<String>,
    /// The session that it had.
    pid: Option<Pid>,
    /// How far it had come in it.
    offset: Option<Reach>,
}

impl Said {
    pub(super) fn read(auth: Option<&str>) -> Result<Self, TokenError> {
        #[derive(Deserialize)]
        struct Auth {
            token: Option<Value>,
            pid: Option<Value>,
            offset: Option<Value>,
        }

        let auth = auth.map(|auth| well_formed(auth.as_bytes()));
        let auth = auth.and_then(|auth| serde_json::from_slice::<Auth>(&auth).ok());
        let Some(Auth { token, pid, offset }) = auth else { return Ok(Self::default()) };
        let token = match token {
            None | Some(Value::Null) => None,
            Some(Value::String(token)) => given_token(&token).map(str::to_owned),
            Some(_) => return Err(TokenError::Malformed),
        };
        let pid = pid.as_ref().and_then(Value::as_str).and_then(Pid::read);
        Ok(match offset {
            None | Some(Value::Null) => Self { token, pid, offset: None },
            Some(offset) => match offset.as_str().map(str::parse) {
                Some(Ok(offset)) => Self { token, pid, offset: Some(offset) },
                // How far it had come is not known.
                _ => Self { token, pid: None, offset: None },
            },
        })
    }
}

impl Lifecycle {
    /// Lets somebody in who shows a session of theirs, in the place of who is still connected to it; none
    /// when there is none that can be brought back whole.
    pub(super) async fn come_back(
        &self,
        link: &Arc<Link>,
        namespace: Namespace,
        identity: &Arc<Identity>,
        said: Said,
    ) -> Option<Arc<Connection>> {
        let recovery = self.context.recovery.get().filter(|_| link.recovers())?;
        let Said { pid, offset, .. } = said;
        let pid = pid?;
        let brought_back = async {
            if let Some(offset) = &offset
                && !recovery.covers(offset).await
            {
                return None;
            }
            let taken = recovery.take(pid, &identity.user_id, namespace).await.ok()??;
            let session = Session { pid, generation: taken.generation };
            self.displace(link, &taken);
            let connection = self
                .bring_back(recovery, link, namespace, identity, session, (taken, offset))
                .await;
            if connection.is_none() {
                recovery.forgotten(session);
            }
            connection
        };
        let connection = brought_back.await;
        let outcome = if connection.is_some() { "recovered" } else { "lost" };
        metrics::recoveries(outcome).increment(1);
        connection
    }

    /// Ends the connection that still has a session, if it is here.
    fn displace(&self, link: &Arc<Link>, taken: &Taken) {
        let Some((shard, member)) = self.context.hub.socket(taken.socket) else { return };
        for earlier in self.context.seats.find(shard, [member]) {
            self.finish(&earlier);
            if !Arc::ptr_eq(&earlier.link, link) {
                earlier.link.close();
            }
        }
    }

    async fn bring_back(
        &self,
        recovery: &Recovery,
        link: &Arc<Link>,
        namespace: Namespace,
        identity: &Arc<Identity>,
        session: Session,
        (taken, offset): (Taken, Option<Reach>),
    ) -> Option<Arc<Connection>> {
        let mut past = Past::of(&taken, offset)?;
        let evictions = self.context.hub.evictions();
        let mut forbidden = Vec::new();
        for room in past.rooms() {
            if !self.rights.get()?.may_enter(identity, room).await.ok()? {
                forbidden.push(room.clone());
            }
        }
        past.keep(|room| !forbidden.contains(room));
        if !self.users.admit(&identity.user_id) {
            return None;
        }
        link.admit();
        let (owner, context) = (Some(identity.clone()), self.context.clone());
        let connection =
            Connection::new(taken.socket, namespace, owner, link.clone(), context, Some(session));
        let coming = Coming { lifecycle: self, connection: Some(connection.clone()) };
        connection.register(true);
        let own = [Room::User(identity.user_id.clone()), Room::Admins];
        for room in own.iter().take(1 + usize::from(identity.has(Role::Admin))).chain(past.rooms())
        {
            connection.enter_again(room.clone()).ok()?;
        }
        let is_refused = self.context.verifier.revocations().check(identity).is_err();
        if is_refused || self.context.hub.evictions() != evictions {
            return None;
        }
        let sent = connection.sent_by_now().await.ok()?;
        let until = sent.map_or_else(|| recovery.db().reach(), |kept| kept.reach.clone());
        let restored = missed(recovery.db(), &connection, &past, &until).await.ok()??;
        if !connection.restore(restored.events, until, restored.heard_from).await.ok()? {
            return None;
        }
        for room in forbidden {
            recovery.left(session, room);
        }
        coming.is_here()
    }
}

/// A connection that is being brought back: unless it is, it ends.
struct Coming<'a> {
    lifecycle: &'a Lifecycle,
    connection: Option<Arc<Connection>>,
}

impl Coming<'_> {
    fn is_here(mut self) -> Option<Arc<Connection>> {
        self.connection.take()
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.lifecycle.finish(&connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_of_itself_is_read_as_far_as_it_is_clear() {
        let read = |auth: &str| {
            let Said { token, pid, offset } = Said::read(Some(auth)).ok()?;
            Some((token, pid.is_some(), offset.map(|offset| offset.to_string())))
        };
        let pid = "59gpW0_jXUJ4pYBGAAAABA";
        let token = Some("t".to_owned());
        for (auth, said) in [
            ("not json".to_owned(), (None, false, None)),
            (r#"{"token":"t"}"#.to_owned(), (token.clone(), false, None)),
            (format!(r#"{{"pid":"{pid}","token":"t"}}"#), (token, true, None)),
            (
                format!(r#"{{"pid":"{pid}","offset":"4y2-1"}}"#),
                (None, true, Some("4y2-1".to_owned())),
            ),
            (
                format!(r#"{{"pid":"{pid}","offset":"what an event ended in"}}"#),
                (None, false, None),
            ),
            (format!(r#"{{"pid":"{pid}","offset":7}}"#), (None, false, None)),
            (r#"{"pid":7,"offset":"1"}"#.to_owned(), (None, false, Some("1".to_owned()))),
        ] {
            assert_eq!(read(&auth), Some(said), "{auth}");
        }
        assert!(Said::read(Some(r#"{"token":7}"#)).is_err());
    }
}
