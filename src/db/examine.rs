//! A look at the store from outside, for who is to know whether it is well: nothing in it is made, changed
//! or waited for.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use tokio::task::spawn_blocking;

use super::{Db, Error, Examined, Kind, Result, file, postgres::Postgres, sqlite};
use crate::config::DatabaseConfig;

impl Db {
    /// Looks at the store that is configured, whoever works with it.
    ///
    /// # Errors
    /// When it can't be reached, or is none.
    pub async fn examine(config: &DatabaseConfig, data: &Path) -> Result<Examined> {
        if let Some(path) = file(config, data) {
            if !sqlite::is_there(&path)? {
                return Ok(Examined::NoFile);
            }
            let examined = spawn_blocking(move || sqlite::look_at(&path)).await;
            let examined = examined.map_err(|error| Error::new(Kind::Other, error))??;
            return Ok(Examined::Sqlite(examined));
        }
        let url = config.url.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
        Ok(Examined::Postgres(Postgres::examine(url).await?))
    }

    /// The file of the store that is configured; none where that is a server.
    #[must_use]
    pub fn file(config: &DatabaseConfig, data: &Path) -> Option<PathBuf> {
        file(config, data)
    }
}
