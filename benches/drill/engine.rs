//! The stores of the drill: SQLite's file, and a Postgres server of its own, each filled past Stoa
//! and then served by it.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rusqlite::Connection;
use sqlx::{Connection as _, Executor, PgConnection};
use tokio::runtime::Runtime;

use crate::postgres::Postgres;

/// The secret of the drill's tokens.
pub const SECRET: &str = "a secret of the drill: known to all and worth nothing";

const START: Duration = Duration::from_mins(1);

/// A value of a row.
pub enum Cell {
    /// No value.
    Null,
    /// A number.
    Int(i64),
    /// A text without tabs and line breaks.
    Text(String),
}

/// A store.
pub enum Engine {
    /// The folder of its file.
    Sqlite(PathBuf),
    /// The server, the URL of its database, and what waits for it.
    Postgres(Box<Postgres>, String, Runtime),
}

/// A running `stoa serve`.
pub struct Server {
    child: Child,
    address: SocketAddr,
}

impl Engine {
    /// A new file.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn sqlite() -> Result<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lists");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let engine = Self::Sqlite(folder);
        engine.migrate()?;
        Ok(engine)
    }

    /// A new server.
    ///
    /// # Errors
    /// When it does not do what it is asked.
    pub fn postgres() -> Result<Self> {
        let server = Postgres::new();
        let runtime = Runtime::new()?;
        let url = runtime.block_on(server.database());
        let engine = Self::Postgres(Box::new(server), url, runtime);
        engine.migrate()?;
        Ok(engine)
    }

    /// Puts rows into a table.
    ///
    /// # Errors
    /// The store's.
    pub fn insert(
        &self,
        table: &str,
        columns: &str,
        rows: &mut dyn Iterator<Item = Vec<Cell>>,
    ) -> Result<()> {
        match self {
            Self::Sqlite(folder) => {
                let mut connection = Connection::open(folder.join("stoa.db"))?;
                let pragmas = "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;";
                connection.execute_batch(pragmas)?;
                let transaction = connection.transaction()?;
                let placeholders = vec!["?"; columns.split(',').count()].join(", ");
                let insert = format!("INSERT INTO {table} ({columns}) VALUES ({placeholders})");
                let mut statement = transaction.prepare(&insert)?;
                for row in rows {
                    for (index, cell) in row.iter().enumerate() {
                        match cell {
                            Cell::Null => statement.raw_bind_parameter(index + 1, None::<i64>)?,
                            Cell::Int(n) => statement.raw_bind_parameter(index + 1, n)?,
                            Cell::Text(text) => statement.raw_bind_parameter(index + 1, text)?,
                        }
                    }
                    statement.raw_execute()?;
                }
                drop(statement);
                Ok(transaction.commit()?)
            }
            Self::Postgres(_, url, runtime) => runtime.block_on(async {
                let mut connection = PgConnection::connect(url).await?;
                let copy = format!("COPY {table} ({columns}) FROM STDIN");
                let mut copy = connection.copy_in_raw(&copy).await?;
                let mut text = String::new();
                for row in rows {
                    for (index, cell) in row.iter().enumerate() {
                        if index > 0 {
                            text.push('\t');
                        }
                        match cell {
                            Cell::Null => text.push_str("\\N"),
                            Cell::Int(n) => text.push_str(&n.to_string()),
                            Cell::Text(value) => text.push_str(value),
                        }
                    }
                    text.push('\n');
                    if text.len() > 1 << 20 {
                        copy.send(text.as_bytes()).await?;
                        text.clear();
                    }
                }
                copy.send(text.as_bytes()).await?;
                copy.finish().await?;
                Ok(connection.close().await?)
            }),
        }
    }

    /// Does what the store does by itself in time: Postgres counts what its tables hold.
    ///
    /// # Errors
    /// The store's.
    pub fn settle(&self) -> Result<()> {
        match self {
            Self::Sqlite(folder) => {
                let connection = Connection::open(folder.join("stoa.db"))?;
                Ok(connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?)
            }
            Self::Postgres(_, url, runtime) => runtime.block_on(async {
                let mut connection = PgConnection::connect(url).await?;
                connection.execute("VACUUM ANALYZE").await?;
                connection.execute("CHECKPOINT").await?;
                Ok(connection.close().await?)
            }),
        }
    }

    /// Drops what is in memory of the store's files.
    ///
    /// # Errors
    /// When `dd` is missing.
    pub fn forget(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(folder) => forget_files(folder),
            Self::Postgres(server, url, runtime) => {
                server.stop();
                forget_files(&server.data())?;
                server.start();
                // Its socket is there a moment before it takes connections.
                let start = Instant::now();
                while runtime.block_on(PgConnection::connect(url)).is_err() {
                    ensure!(start.elapsed() < START, "Postgres does not start again");
                    thread::sleep(Duration::from_millis(10));
                }
                Ok(())
            }
        }
    }

    fn migrate(&self) -> Result<()> {
        let status = self.stoa("migrate").stdout(Stdio::null()).status()?;
        ensure!(status.success(), "`stoa migrate` ended with {status}");
        Ok(())
    }

    fn stoa(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stoa"));
        command.arg(verb).env("JWT_SECRET", SECRET).env("LOG_LEVEL", "warn").env("LIMITS", "off");
        match self {
            Self::Sqlite(folder) => command.env("STOA_DATA", folder),
            Self::Postgres(_, url, _) => {
                command.env("STOA_DATA", env!("CARGO_TARGET_TMPDIR")).env("DATABASE_URL", url)
            }
        };
        command
    }

    /// Starts Stoa on it, and waits until it serves.
    ///
    /// # Errors
    /// When it does not.
    pub fn serve(&self) -> Result<Server> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let log = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("lists.log"))?;
        let mut command = self.stoa("serve");
        command.env("HOST", "127.0.0.1").env("PORT", port.to_string());
        let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Server { child, address };
        let start = Instant::now();
        while !is_ready(address) {
            if let Some(status) = server.child.try_wait()? {
                bail!("`stoa serve` ended with {status}");
            }
            ensure!(start.elapsed() < START, "`stoa serve` does not serve");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error here says that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether a server says that it is ready.
fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let request = "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    let mut answer = [0; 12];
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && &answer == b"HTTP/1.1 200"
}

/// The kernel forgets the files of a folder, as `posix_fadvise` has it through `dd`.
fn forget_files(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            forget_files(&path)?;
            continue;
        }
        let mut dd = Command::new("dd");
        dd.arg(format!("if={}", path.display())).args(["iflag=nocache", "count=0"]);
        let status = dd.stderr(Stdio::null()).status().context("no `dd`")?;
        ensure!(status.success(), "`dd` ended with {status}");
    }
    Ok(())
}
