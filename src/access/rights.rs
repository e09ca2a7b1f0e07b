//! Who belongs in which room, from what is stored: the rooms above know, and are asked.

use futures_util::future::{BoxFuture, LocalBoxFuture};

use crate::{auth::Identity, db::Tx, error::Result, id::Id, room::Room};

/// What stored data says of a user and a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// This server has no record of the room's id; its owner may be another backend.
    Unknown,
    /// The user belongs in there.
    Member,
    /// The user does not.
    Stranger,
}

/// Someone, and a room that they want to be in.
#[derive(Clone)]
pub struct Entrant {
    /// Who.
    pub identity: Identity,
    /// Which room.
    pub room: Room,
}

/// Asks stored data who belongs in a room.
pub trait Records: Send + Sync {
    /// The membership of each, or what the store says.
    fn memberships<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        entrants: &'a [Entrant],
    ) -> LocalBoxFuture<'a, Result<Vec<Membership>>>;

    /// Someone's membership of a room that stored data does not know: what a backend says whose it may
    /// be, or that nobody knows.
    fn elsewhere<'a>(
        &'a self,
        identity: &'a Identity,
        room: &'a Room,
    ) -> BoxFuture<'a, Result<Membership>>;

    /// A right of a user to a room was taken back: what is remembered of it holds no longer.
    fn taken_back(&self, user: &Id, room: &Room);

    /// The number of the last event of the room's stream that is not someone's to hear again, since
    /// they came in after it; 0 when all of them are.
    fn heard_after<'a>(
        &'a self,
        identity: &'a Identity,
        room: &'a Room,
    ) -> BoxFuture<'a, Result<i64>>;
}
