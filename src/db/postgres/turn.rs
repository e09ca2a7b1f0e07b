//! What one process does at a time, of all that work with a database: whose turn it is has an advisory
//! lock, on a connection of its own.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::{sleep, timeout};

use crate::db::Result;

/// How often who has a turn shows that it is there, and who waits for one asks again.
const BEAT: Duration = Duration::from_secs(1);

/// After how long without that the server takes the turn away: from who stands still, or can't be reached.
const SILENCE: (&str, &str) = ("idle_session_timeout", "4s");

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A turn, until it is dropped.
pub(in crate::db) struct Turn(PgConnection);

impl Turn {
    /// Waits for the turn in what is called so.
    pub(super) async fn take(options: &PgConnectOptions, of: &str) -> Self {
        let options = options.clone().options([SILENCE]);
        loop {
            if let Ok(Ok(mut connection)) =
                timeout(PATIENCE, PgConnection::connect_with(&options)).await
            {
                while let Ok(Ok(is_ours)) = timeout(PATIENCE, ask(&mut connection, of)).await {
                    if is_ours {
                        return Self(connection);
                    }
                    sleep(BEAT).await;
                }
            }
            sleep(BEAT).await;
        }
    }

    /// Keeps it until it is lost.
    pub(in crate::db) async fn lost(&mut self) {
        while let Ok(Ok(())) = timeout(PATIENCE, self.0.ping()).await {
            sleep(BEAT).await;
        }
    }
}

/// Whether the turn is this connection's from now on.
async fn ask(connection: &mut PgConnection, of: &str) -> Result<bool> {
    // Others' locks in a database are numbers, too: these begin with the letters of our name.
    const ASK: &str = "SELECT pg_try_advisory_lock(1937010529, hashtext($1))";
    Ok(sqlx::query_scalar(ASK).bind(of).fetch_one(connection).await?)
}
