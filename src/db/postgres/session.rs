//! A connection in the transaction of a unit, and how far that is.

use std::{cell::Cell, sync::Arc};

use sqlx::PgConnection;

use super::locks::{Locks, Patience};

/// A connection in a unit's transaction.
pub(in crate::db) struct Session<'a> {
    pub(super) connection: &'a mut PgConnection,
    pub(super) locks: &'a Arc<Locks>,
    pub(super) patience: &'a Patience,
    pub(super) progress: &'a Progress,
}

/// How far a unit is, for when it is given up.
#[derive(Default)]
pub(super) struct Progress {
    /// The statement under way.
    pub(super) doing: Cell<&'static str>,
    /// The highest position of what it announced, once it is committed.
    pub(super) position: Cell<Option<i64>>,
}
