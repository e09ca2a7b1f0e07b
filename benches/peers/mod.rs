//! The servers under test: Stoa, and those it is measured against. Each serves the same work.

pub mod ceiling;
pub mod plain;
mod process;
mod watch;

use std::{
    env,
    ffi::OsString,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Result, bail, ensure};
use clap::ValueEnum;
use rusqlite::{Connection, OpenFlags};
use socket2::{Domain, Socket, Type};

use crate::load::token::SECRET;
use process::find_program;
pub use process::{Launch, Server, Usage, cores, pin};
pub use watch::Watch;

/// A server under test.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// `stoa serve`, one worker and one shard on one core.
    Stoa,
    /// The same with two workers and two shards, on two cores.
    Stoa2,
    /// `stoa` while its traces are collected, a console is open and somebody listens to every event.
    Watched,
    /// One epoll thread, a frame encoded once, one write per recipient.
    Ceiling,
    /// socketioxide without Stoa.
    Socketioxide,
    /// Bun with `@socket.io/bun-engine`.
    Bun,
    /// Node with `socket.io` and `ws`.
    Node,
    /// `python-socketio` on aiohttp and uvloop.
    Python,
}

/// What a server has to serve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// `typing:start`, relayed.
    Relay,
    /// That, and who came and went.
    Presence,
    /// The same, told to those who share a conversation.
    Contacts,
    /// Nobody is told who came and went.
    Quiet,
    /// `message:send`, stored and announced.
    Messages,
}

impl Peer {
    /// Its name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stoa => "stoa",
            Self::Stoa2 => "stoa2",
            Self::Watched => "watched",
            Self::Ceiling => "ceiling",
            Self::Socketioxide => "socketioxide",
            Self::Bun => "bun",
            Self::Node => "node",
            Self::Python => "python",
        }
    }

    /// Whether a failure is ours: a peer that fails is a result, Stoa failing is a fault.
    pub fn is_stoa(self) -> bool {
        matches!(self, Self::Stoa | Self::Stoa2 | Self::Watched)
    }

    /// How to start it; fetches what it needs on first use.
    ///
    /// # Errors
    /// When its runtime is not on this machine, its packages cannot be had, or it does not do that
    /// work.
    pub fn launch(self, work: Work) -> Result<Launch> {
        let stores = self.is_stoa() || self == Self::Node;
        ensure!(stores || work != Work::Messages, "it stores no messages");
        let (program, arguments): (PathBuf, Vec<OsString>) = match self {
            Self::Stoa | Self::Stoa2 | Self::Watched => {
                (env!("CARGO_BIN_EXE_stoa").into(), vec!["serve".into()])
            }
            Self::Ceiling | Self::Socketioxide => {
                (env::current_exe()?, vec!["--serve".into(), self.name().into()])
            }
            Self::Node => {
                let directory = npm_install(self)?;
                let messages = work == Work::Messages;
                if messages {
                    build_sqlite(&directory)?;
                }
                let server = if messages { "messages.mjs" } else { "server.mjs" };
                (find_program("node")?, vec![directory.join(server).into()])
            }
            Self::Bun => {
                let directory = npm_install(self)?;
                (find_bun(&directory)?, vec![directory.join("server.mjs").into()])
            }
            Self::Python => {
                let server = sources(self).join("server.py");
                (pip_install(self)?, vec![server.into()])
            }
        };
        let directory = output().join("work").join(self.name());
        fs::create_dir_all(&directory)?;
        let (workers, cores) = match self {
            Self::Stoa2 if cores() > 2 => ("2", "0,2"),
            Self::Stoa2 => ("2", "0,1"),
            _ => ("1", "0"),
        };
        let mut environment: Vec<(&'static str, OsString)> =
            vec![("JWT_SECRET", SECRET.into()), ("TOKIO_WORKER_THREADS", workers.into())];
        // A new folder each time: no run finds the rows of the last one.
        let data = new_data(&directory)?;
        if self.is_stoa() {
            environment.extend([
                ("HOST", "127.0.0.1".into()),
                ("STOA_DATA", data.into()),
                ("STOA_REALTIME__SHARDS", workers.into()),
                ("ROOM_POLICY", "open".into()),
                ("LIMITS", "off".into()),
                ("LOG_LEVEL", "warn".into()),
            ]);
            if self == Self::Watched {
                environment.push(("OTEL_EXPORTER_OTLP_ENDPOINT", watch::collector()?.into()));
            }
            match work {
                Work::Contacts => environment.push(("PRESENCE_AUDIENCE", "contacts".into())),
                Work::Quiet => environment.push(("PRESENCE_AUDIENCE", "off".into())),
                Work::Relay | Work::Presence | Work::Messages => (),
            }
        } else {
            let presence = if work == Work::Presence { "on" } else { "off" };
            environment.push(("PRESENCE", presence.into()));
            environment.push(("DATABASE", database(self).into()));
            environment.push(("NODE_ENV", "production".into()));
        }
        Ok(Launch {
            program,
            arguments,
            environment,
            log: directory.join("log"),
            directory,
            ready: self.is_stoa().then_some("/readyz"),
            cores: cores.into(),
        })
    }

    /// Has its server watched, where it is to be.
    ///
    /// # Errors
    /// When that lets nobody.
    pub fn watch(self, server: &Server) -> Result<Option<Watch>> {
        (self == Self::Watched).then(|| Watch::start(server.address())).transpose()
    }

    /// Serves as one of the peers that live in this program, on `PORT`, until killed.
    ///
    /// # Errors
    /// When it is none of those, or cannot serve.
    pub fn serve(self) -> Result<()> {
        let port: u16 = env::var("PORT")?.parse()?;
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        // The standard library's 128 would drop a storm's connections.
        listener.listen(1024)?;
        let listener = listener.into();
        let presence = env::var("PRESENCE").is_ok_and(|presence| presence == "on");
        match self {
            Self::Ceiling => ceiling::Ceiling::new(listener, presence, |_| 1)?.run(),
            Self::Socketioxide => plain::run(listener, presence),
            _ => bail!("{} is a program of its own", self.name()),
        }
    }
}

/// Where results, logs and installed packages go.
pub fn output() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench")
}

/// How many messages are in the database of a server, as a reader of its file sees them.
///
/// # Errors
/// When there is no such file.
pub fn stored_messages(peer: Peer) -> Result<u64> {
    let file = Connection::open_with_flags(database(peer), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let count: i64 = file.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))?;
    Ok(u64::try_from(count)?)
}

fn database(peer: Peer) -> PathBuf {
    output().join("work").join(peer.name()).join("data/stoa.db")
}

fn sources(peer: Peer) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(peer.name())
}

fn new_data(directory: &Path) -> Result<PathBuf> {
    let data = directory.join("data");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    fs::create_dir(&data)?;
    Ok(data)
}

/// The packages beside a peer's `package.json`. No install scripts run.
fn npm_install(peer: Peer) -> Result<PathBuf> {
    let directory = sources(peer);
    // npm writes this copy of the lock last; an older one is of other packages.
    let time = |path| fs::metadata(directory.join(path)).and_then(|of| of.modified());
    let installed = time("node_modules/.package-lock.json").ok();
    if installed.is_none_or(|at| time("package.json").is_ok_and(|wanted| wanted > at)) {
        let mut npm = Command::new(find_program("npm")?);
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&directory);
        install(&mut npm, peer)?;
    }
    Ok(directory)
}

/// Compiles better-sqlite3, with the headers that came with Node when they are there.
fn build_sqlite(directory: &Path) -> Result<()> {
    let built = "node_modules/better-sqlite3/build/Release/better_sqlite3.node";
    if directory.join(built).exists() {
        return Ok(());
    }
    let mut npm = Command::new(find_program("npm")?);
    npm.args(["rebuild", "better-sqlite3", "--build-from-source"]).current_dir(directory);
    let node = fs::canonicalize(find_program("node")?)?;
    let home = node.parent().and_then(Path::parent);
    if let Some(home) = home.filter(|home| home.join("include/node/node_api.h").exists()) {
        npm.env("npm_config_nodedir", home);
    }
    install(&mut npm, Peer::Node)
}

/// The binary that came with npm's package, else one on this machine.
fn find_bun(directory: &Path) -> Result<PathBuf> {
    let packages = directory.join("node_modules/@oven");
    let installed = fs::read_dir(packages).into_iter().flatten().flatten();
    installed
        .map(|package| package.path().join("bin/bun"))
        .find(|program| program.is_file())
        .map_or_else(|| find_program("bun"), Ok)
}

fn pip_install(peer: Peer) -> Result<PathBuf> {
    let home = output().join("python");
    let python = home.join("bin/python");
    if !home.join("installed").exists() {
        let mut venv = Command::new(find_program("python3")?);
        install(venv.args(["-m", "venv"]).arg(&home), peer)?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(sources(peer).join("requirements.txt"));
        install(&mut pip, peer)?;
        fs::write(home.join("installed"), "")?;
    }
    Ok(python)
}

fn install(command: &mut Command, peer: Peer) -> Result<()> {
    eprintln!("fetching what {} needs", peer.name());
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "its packages could not be had: {}", said.trim());
    Ok(())
}
