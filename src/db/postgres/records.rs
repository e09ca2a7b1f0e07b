//! What one process tells the others that work with the same database: that there is a record of a room
//! now which they may have let somebody into while there was none.

use std::time::Duration;

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::time::sleep;

use super::session::Session;
use crate::{db::Result, room::Room};

/// The channel on which it is told.
const CHANNEL: &str = "stoa_records";

/// Bytes of what is told at once: a server takes less than 8,000.
const MAX_BYTES: usize = 7_900;

/// How long it takes until a server that is away is asked again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Records that others have begun to keep.
pub enum News {
    /// Those of these rooms.
    Of(Vec<Room>),
    /// Some may have been missed.
    Missed,
}

/// Tells of these rooms, once the transaction is committed.
pub(in crate::db) async fn tell(session: &mut Session<'_>, rooms: &[Room]) -> Result<()> {
    const TELL: &str = "SELECT pg_notify($1, $2)";
    let mut names = String::new();
    let mut rooms = rooms.iter().map(Room::to_string).peekable();
    while let Some(name) = rooms.next() {
        names.push_str(&name);
        let is_full = rooms.peek().is_none_or(|next| names.len() + 1 + next.len() > MAX_BYTES);
        if is_full {
            sqlx::query(TELL).bind(CHANNEL).bind(&names).execute(&mut *session.connection).await?;
            names.clear();
        } else {
            // No name has one.
            names.push(' ');
        }
    }
    Ok(())
}

/// Hears what other processes tell.
pub struct Listener {
    pool: PgPool,
    listening: Option<PgListener>,
}

impl Listener {
    /// One that hears from now on, or else, where the server is away, says that it has missed some as
    /// soon as it hears.
    pub(super) async fn begin(settings: PgPoolOptions, options: PgConnectOptions) -> Self {
        let settings = settings.max_connections(1).max_lifetime(None).idle_timeout(None);
        let mut this = Self { pool: settings.connect_lazy_with(options), listening: None };
        if let Err(error) = this.listen().await {
            tracing::debug!(%error, "nothing is heard of other processes' records yet");
        }
        this
    }

    /// Waits for the next.
    pub async fn next(&mut self) -> News {
        loop {
            let heard = match &mut self.listening {
                Some(listening) => listening.try_recv().await,
                None => match self.listen().await {
                    Ok(()) => return News::Missed,
                    Err(error) => Err(error),
                },
            };
            match heard {
                Ok(Some(told)) => {
                    let names = told.payload().split(' ');
                    return News::Of(names.filter_map(|name| name.parse().ok()).collect());
                }
                // It was lost, and is there again.
                Ok(None) => return News::Missed,
                Err(error) => {
                    tracing::debug!(%error, "nothing is heard of other processes' records");
                    self.listening = None;
                    sleep(TRY_AGAIN).await;
                }
            }
        }
    }

    async fn listen(&mut self) -> sqlx::Result<()> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(CHANNEL).await?;
        self.listening = Some(listener);
        Ok(())
    }
}
