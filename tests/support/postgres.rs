//! A real Postgres of the tests' own, on a socket in a folder of its own. It ends with the tests,
//! however they end.

use std::{
    env, fs,
    io::Write,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

/// Postgres refuses to run as root; this is the one who has nothing on any machine.
const NOBODY: u32 = 65534;

/// How long the server may take to start.
const START: Duration = Duration::from_secs(20);

/// Runs the server until the pipe from the tests closes, which it does when they are killed, too;
/// then nobody but this is left to remove the folder.
pub(super) const UNTIL_CLOSED: &str = r#"
    folder=$1; shift
    "$@" </dev/null &
    read -r last
    kill -INT $!; wait $!
    [ "$last" = keep ] || rm -rf "$folder"
"#;

/// A server, and the folder that holds it.
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    server: Option<Child>,
}

impl Postgres {
    /// The server that tests share, each with a database of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::new)
    }

    /// A server of this test's own.
    pub fn new() -> Self {
        let programs = programs().expect("Postgres's programs, which `make setup` installs");
        let folder = TempDir::new().expect("a folder");
        if is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("a folder for the server");
        }
        let mut this = Self { folder, programs, server: None };
        let mut initdb = this.command(&this.programs.join("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--username=stoa", "--encoding=UTF8"]);
        initdb.args(["--locale=C", "-D"]).arg(this.data()).stdout(Stdio::null());
        assert!(initdb.status().expect("initdb").success(), "initdb failed");
        this.start();
        this
    }

    /// Starts the server.
    pub fn start(&mut self) {
        let mut server = self.command(Path::new("sh"));
        server.args(["-c", UNTIL_CLOSED, "sh"]).arg(self.folder.path());
        server.arg(self.programs.join("postgres"));
        server.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        server.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "logging_collector=off"]);
        // Of all tests at once, and of those that have ended and not hung up yet.
        server.args(["-c", "max_connections=2000"]);
        let server = server.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(server.spawn().expect("a shell"));
        let socket = self.folder.path().join(".s.PGSQL.5432");
        let deadline = Instant::now() + START;
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "Postgres did not start");
            std::thread::yield_now();
        }
    }

    /// Stops the server, whoever is connected, and waits until it is gone.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let mut pipe = server.stdin.take().expect("the pipe to the server");
            pipe.write_all(b"keep\n").expect("a server that runs");
            drop(pipe);
            server.wait().expect("the server's end");
        }
    }

    /// The URL of a new database.
    pub async fn database(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let deadline = Instant::now() + START;
        // The socket is there a moment before the server takes connections.
        let mut connection = loop {
            match PgConnection::connect(&self.url("postgres")).await {
                Ok(connection) => break connection,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        };
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        connection.execute(create).await.expect("a database");
        connection.close().await.expect("a connection that ends");
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://stoa@localhost/{database}?host={}", self.folder.path().display())
    }

    /// The folder of its files.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The folder of Postgres's programs: of the path, or where Debian has them.
fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders =
        env::split_paths(&path).chain(debian.map(|version| version.path().join("bin")));
    folders.find(|folder| ["initdb", "postgres"].iter().all(|name| folder.join(name).exists()))
}
