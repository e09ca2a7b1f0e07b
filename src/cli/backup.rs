//! `stoa backup`: a copy of a SQLite store, whatever works with it.

use std::path::PathBuf;

use anyhow::{Result, bail};
use stoa::{config::Config, db::Db};

use super::output::{remark, say};

#[derive(clap::Args)]
pub struct Args {
    /// Where the copy is to be; no such file may be there
    file: PathBuf,
}

/// Copies the store as it is at one moment.
pub async fn run(args: &Args, config: Config) -> Result<()> {
    remark(format_args!("the store: {}", Db::name(&config.database, &config.data)));
    let Some(bytes) = Db::backup(&config.database, &config.data, &args.file).await? else {
        bail!("the store is Postgres, which brings its own backup: pg_dump, or a base backup");
    };
    say(format_args!("The store was copied to {} ({bytes} bytes).", args.file.display()))
}
