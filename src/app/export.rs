//! What is kept of one user, told by the command line (docs/moving.md).

use std::{io::Write, pin::pin};

use anyhow::{Context, Result};
use futures_util::TryStreamExt;

use super::personal;
use crate::{
    clock::Clock, config::Config, db::Db, id::Id, id::Ids, notifications::NotificationService,
    users,
};

/// Writes everything that is kept of a user, as they are told it over REST; how many lines.
///
/// # Errors
/// When the store can't be read, or what is told not written.
pub async fn export_user(config: &Config, user: Id, to: &mut impl Write) -> Result<u64> {
    let db = Db::open_as_it_is(&config.database, &config.data, Clock::system(), config.patience());
    let db = db.await.context("the store can't be opened (DATABASE_URL)")?;
    let notifications = NotificationService::new(db.clone(), Ids, &config.notifications);
    let told = write(db.clone(), notifications, user, to).await;
    db.close().await;
    told
}

async fn write(
    db: Db,
    notifications: NotificationService,
    user: Id,
    to: &mut impl Write,
) -> Result<u64> {
    let mut told = pin!(users::everything_of(db, personal::parts(notifications), user));
    let mut count = 0;
    while let Some(lines) = told.try_next().await? {
        count += String::from_utf8_lossy(&lines).lines().count() as u64;
        to.write_all(&lines).context("what is told")?;
    }
    to.flush().context("what is told")?;
    Ok(count)
}
