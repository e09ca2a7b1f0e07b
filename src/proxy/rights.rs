//! Rights to enter rooms that a backend has given for a time. They end with that, and are asked about
//! again while the user is in the room.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::{id::Id, room::Room};

/// How long it takes until a backend that did not answer is asked again about a right that has ended.
/// Until then whoever is in the room stays.
const RETRY: Duration = Duration::from_secs(10);

/// For how long a right is kept in any case: whoever it is for may still be on their way in.
const AT_LEAST: Duration = Duration::from_mins(1);

/// Rights by user and room.
pub(super) struct Rights {
    kept: Mutex<HashMap<(Id, Room), Right>>,
    most: usize,
}

#[derive(Clone, Copy)]
struct Right {
    given: Instant,
    /// Until then the user may enter.
    until: Instant,
    /// Then it is asked whether they may stay.
    ask_at: Instant,
}

/// As many rights are kept as may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Rights {
    pub(super) fn new(most: usize) -> Self {
        Self { kept: Mutex::default(), most }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Id, Room), Right>> {
        self.kept.lock()
    }

    /// Whether a user may enter a room by a right that is remembered.
    pub(super) fn holds(&self, user: &Id, room: &Room) -> bool {
        let right = self.lock().get(&(user.clone(), room.clone())).copied();
        right.is_some_and(|right| Instant::now() < right.until)
    }

    /// Remembers a right for so long. Without a time it was given for once, and nothing is kept.
    ///
    /// # Errors
    /// [`Full`]
    pub(super) fn set(&self, user: &Id, room: &Room, life: Option<Duration>) -> Result<(), Full> {
        let key = (user.clone(), room.clone());
        let mut kept = self.lock();
        let Some(life) = life else {
            kept.remove(&key);
            return Ok(());
        };
        if kept.len() >= self.most && !kept.contains_key(&key) {
            return Err(Full);
        }
        let given = Instant::now();
        let until = given + life;
        kept.insert(key, Right { given, until, ask_at: until });
        Ok(())
    }

    /// Whether there is no space for another.
    pub(super) fn are_full(&self) -> bool {
        self.lock().len() >= self.most
    }

    /// Forgets the rights of users who are not in the rooms for which they have them: they ask again
    /// when they come.
    pub(super) fn keep_of(&self, present: &HashSet<(Id, Room)>) {
        let now = Instant::now();
        let is_new = |right: &Right| now - right.given < AT_LEAST;
        self.lock().retain(|key, right| is_new(right) || present.contains(key));
    }

    /// Forgets a right.
    pub(super) fn forget(&self, user: &Id, room: &Room) {
        self.lock().remove(&(user.clone(), room.clone()));
    }

    /// The rights that have ended and are to be asked about; each is told once in a while.
    pub(super) fn ended(&self) -> Vec<(Id, Room)> {
        let now = Instant::now();
        let mut kept = self.lock();
        let ended = kept.iter_mut().filter(|(_, right)| right.ask_at <= now);
        ended
            .map(|(key, right)| {
                right.ask_at = now + RETRY;
                key.clone()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_right_holds_for_its_time_and_is_asked_about_until_it_is_answered() {
        let rights = Rights::new(2);
        let [ann, bob]: [Id; 2] = ["ann", "bob"].map(|id| id.parse().unwrap());
        let room: Room = "lobby".parse().unwrap();
        let second = Some(Duration::from_secs(1));
        rights.set(&ann, &room, second).unwrap();
        assert!(rights.holds(&ann, &room) && !rights.holds(&bob, &room));
        assert_eq!(rights.ended(), []);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!rights.holds(&ann, &room));
        assert_eq!(rights.ended(), [(ann.clone(), room.clone())]);
        assert_eq!(rights.ended(), [], "it is being asked about");
        tokio::time::advance(RETRY).await;
        assert_eq!(rights.ended().len(), 1, "nobody answered");
        rights.set(&ann, &room, second).unwrap();
        assert!(rights.holds(&ann, &room));
        rights.set(&ann, &room, None).unwrap();
        assert!(!rights.holds(&ann, &room), "it was given for once");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_kept_than_may_be() {
        let rights = Rights::new(1);
        let [ann, bob]: [Id; 2] = ["ann", "bob"].map(|id| id.parse().unwrap());
        let room: Room = "lobby".parse().unwrap();
        let life = Some(Duration::from_secs(1));
        rights.set(&ann, &room, life).unwrap();
        assert_eq!(rights.set(&bob, &room, life), Err(Full));
        assert_eq!(rights.set(&bob, &room, None), Ok(()));
        assert_eq!(rights.set(&ann, &room, life), Ok(()), "it is one of them");
        rights.forget(&ann, &room);
        assert_eq!(rights.set(&bob, &room, life), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_left_makes_space_for_others() {
        let rights = Rights::new(2);
        let [ann, bob, eve]: [Id; 3] = ["ann", "bob", "eve"].map(|id| id.parse().unwrap());
        let room: Room = "lobby".parse().unwrap();
        let life = Some(Duration::from_hours(1));
        rights.set(&ann, &room, life).unwrap();
        rights.set(&bob, &room, life).unwrap();
        assert!(rights.are_full());
        let present = HashSet::from([(ann.clone(), room.clone())]);
        rights.keep_of(&present);
        assert!(rights.holds(&bob, &room), "he may be on his way in");
        tokio::time::advance(AT_LEAST).await;
        rights.keep_of(&present);
        assert!(rights.holds(&ann, &room) && !rights.holds(&bob, &room));
        assert_eq!(rights.set(&eve, &room, life), Ok(()));
    }
}
