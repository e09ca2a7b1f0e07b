//! A server as a process on its own core: started, read from `/proc`, and killed when dropped.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{self, Child, Command, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::load::interrupt;

const START_LIMIT: Duration = Duration::from_secs(30);
/// `USER_HZ`: what `/proc/<pid>/stat` counts in, on every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;
const ENVIRONMENT: [&str; 3] = ["PATH", "HOME", "LANG"];

/// How a server is started.
pub struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(&'static str, OsString)>,
    pub(super) directory: PathBuf,
    /// A path that answers 200 once it serves; else it serves once it accepts.
    pub(super) ready: Option<&'static str>,
    pub(super) cores: String,
    pub(super) log: PathBuf,
}

/// CPU time that a process used up, all threads, in user and kernel, in seconds.
#[derive(Clone, Copy)]
pub struct Usage(pub f64);

impl Usage {
    /// That of this process: the load generator.
    ///
    /// # Errors
    /// When `/proc` is not there.
    pub fn own() -> Result<Self> {
        Self::of(process::id())
    }

    fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name may hold spaces; the fields after it do not (proc_pid_stat(5)).
        let (_, fields) = stat.rsplit_once(')').context("a strange /proc/<pid>/stat")?;
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks = ticks.map(str::parse::<f64>).sum::<Result<f64, _>>()?;
        Ok(Self(ticks / TICKS_PER_SECOND))
    }
}

/// A server that runs as long as this lives.
pub struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts one on a free port and waits until it serves.
    ///
    /// # Errors
    /// When it ends, or does not serve within 30 s.
    pub fn start(launch: &Launch) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let log = File::create(&launch.log)?;
        let mut command = if pinning() {
            let mut taskset = Command::new("taskset");
            taskset.args(["-c", &launch.cores]).arg(&launch.program);
            taskset
        } else {
            Command::new(&launch.program)
        };
        let kept = ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let child = command
            .args(&launch.arguments)
            .env_clear()
            .envs(kept)
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .env("PORT", port.to_string())
            .current_dir(&launch.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} does not start", launch.program.display()))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Self { child, address };
        let start = Instant::now();
        while !serves(address, launch.ready) {
            interrupt::check()?;
            if let Some(status) = server.child.try_wait()? {
                bail!("it ended with {status}; see {}", launch.log.display());
            }
            ensure!(
                start.elapsed() < START_LIMIT,
                "it does not serve after {START_LIMIT:?}; see {}",
                launch.log.display()
            );
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CPU time it used up.
    ///
    /// # Errors
    /// When it is gone.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.child.id())
    }

    /// How long its threads were ready to run while others had the core, in seconds.
    ///
    /// # Errors
    /// When it is gone.
    pub fn waited_s(&self) -> Result<f64> {
        let mut waited_ns = 0.0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread that has just ended counts no more.
            let said = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            let waited = said.split_whitespace().nth(1).map_or(Ok(0.0), str::parse::<f64>)?;
            waited_ns += waited;
        }
        Ok(waited_ns / 1e9)
    }

    /// The memory it holds (`VmRSS`), in KB of 1,024 bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn rss_kb(&self) -> Result<f64> {
        self.status("VmRSS:")
    }

    /// The most memory it ever held (`VmHWM`), in KB of 1,024 bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn peak_rss_kb(&self) -> Result<f64> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.split_whitespace().next());
        Ok(value.context("the server is gone")?.parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error here says that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Cores that this process had when it started.
pub fn cores() -> usize {
    static CORES: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));
    *CORES
}

fn pinning() -> bool {
    cores() > 1 && find_program("taskset").is_ok()
}

/// Puts this process, the load, on the second core; servers take the first.
///
/// # Errors
/// When `taskset` refuses.
pub fn pin() -> Result<()> {
    if !pinning() {
        eprintln!("no second core or no `taskset`: load and server share what there is");
        return Ok(());
    }
    let own = process::id().to_string();
    let output = Command::new("taskset").args(["-cp", "1", &own]).output()?;
    ensure!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn serves(address: SocketAddr, ready: Option<&str>) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let Some(path) = ready else { return true };
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
        && stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && &answer == b"HTTP/1.1 200"
}

/// A program by its name.
pub(super) fn find_program(name: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").context("no PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .with_context(|| format!("`{name}` is not on this machine"))
}
