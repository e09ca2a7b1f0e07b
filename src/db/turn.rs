//! What one process does at a time, of all that work with the store.

use std::future::pending;

use super::{Db, Engine, postgres};

/// This process's turn in something, until it is dropped or lost.
pub struct Turn(Option<postgres::Turn>);

impl Db {
    /// Waits until no other process does what is called so. On SQLite none ever does.
    pub async fn turn(&self, of: &str) -> Turn {
        match &self.0.engine {
            Engine::Sqlite(_) => Turn(None),
            Engine::Postgres(postgres) => Turn(Some(postgres.turn(of).await)),
        }
    }
}

impl Turn {
    /// Waits until another process may have it, which is when this one can't show for some seconds that
    /// it is there.
    pub async fn lost(&mut self) {
        match &mut self.0 {
            Some(turn) => turn.lost().await,
            None => pending().await,
        }
    }
}
