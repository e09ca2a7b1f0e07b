//! Events as they are sent, for one operator who listens, with the rooms of the user whom they ask for.

use std::{collections::HashSet, time::Duration};

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{
    Realtime,
    listed::SocketFilter,
    live::{Listening, LiveFilter, LiveNews},
};
use crate::{error::Result, id::Id, room::Room};

/// How often it is looked which rooms a user is in.
const LOOK: Duration = Duration::from_secs(2);

/// Sockets of a user on other nodes that are looked at.
const MOST_SOCKETS: usize = 100;

/// One who listens, until it is dropped.
pub struct Tail {
    realtime: Realtime,
    listening: Listening,
    user: Option<Id>,
    look: Interval,
}

impl Realtime {
    /// Listens to what is sent to sockets, from now on.
    ///
    /// # Errors
    /// [`Unavailable`](crate::error::Code::Unavailable) when as many listen as may, or the server stops.
    pub async fn tail(&self, filter: LiveFilter) -> Result<Tail> {
        let user = filter.user.clone();
        let listening = self.emitter.live.listen(filter)?;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tail = Tail { realtime: self.clone(), listening, user, look };
        if tail.user.is_some() {
            // The first is at once.
            tail.look.tick().await;
            tail.look_for_rooms().await;
        }
        Ok(tail)
    }
}

impl Tail {
    /// What was sent since; none when the server stops.
    pub async fn next(&mut self) -> Option<LiveNews> {
        loop {
            tokio::select! {
                news = self.listening.next() => return news,
                _ = self.look.tick(), if self.user.is_some() => self.look_for_rooms().await,
            }
        }
    }

    /// Here all rooms of the user are known; of sockets elsewhere the first of each.
    async fn look_for_rooms(&self) {
        let Some(user) = &self.user else { return };
        let here = self.realtime.sockets.in_room(&Room::User(user.clone())).await;
        let mut rooms: HashSet<Room> = here.iter().flat_map(|it| it.rooms()).collect();
        let census = &self.realtime.census;
        let listed = census.sockets(SocketFilter::of(user), None, MOST_SOCKETS).await;
        let theirs =
            listed.items.into_iter().filter(|socket| socket.user_id.as_ref() == Some(user));
        rooms.extend(theirs.flat_map(|socket| socket.rooms));
        self.listening.is_in(rooms);
    }
}
