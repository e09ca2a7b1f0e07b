//! The release binary, measured from outside, and killed when dropped.

use std::{
    env, fs,
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use stoa::clock::Clock;

const SECRET: &str = "a secret of benchmarks: known to all and worth nothing";
const START_LIMIT: Duration = Duration::from_secs(30);
const DAY_S: i64 = 86_400;

/// A server that runs as long as this lives.
pub struct Server {
    child: Child,
    address: SocketAddr,
    data: PathBuf,
}

/// What a server holds.
pub struct Kept {
    /// Memory (`VmRSS`), in KB of 1,024 bytes.
    pub rss_kb: f64,
    /// The files of its data folder.
    pub disk_bytes: f64,
}

impl Server {
    /// Starts one on a free port, on an empty folder of that name, with these settings too, and waits
    /// until it serves.
    ///
    /// # Errors
    /// When it ends, or does not serve within 30 s.
    pub fn start(name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/work").join(name);
        let data = folder.join("data");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        fs::create_dir_all(&data)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let log = File::create(folder.join("log"))?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_stoa"));
        command.arg("serve").env_clear().current_dir(&folder).stdin(Stdio::null());
        for (name, value) in [("PATH", env::var_os("PATH")), ("HOME", env::var_os("HOME"))] {
            command.env(name, value.unwrap_or_default());
        }
        command.env("HOST", "127.0.0.1").env("PORT", port.to_string()).env("JWT_SECRET", SECRET);
        command.env("STOA_DATA", &data).env("LOG_LEVEL", "warn").envs(settings.iter().copied());
        let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut server = Self { child, address: (Ipv4Addr::LOCALHOST, port).into(), data };
        let start = Instant::now();
        while TcpStream::connect(server.address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended with {status}; see {}", folder.join("log").display());
            }
            ensure!(start.elapsed() < START_LIMIT, "the server does not serve");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A token for a user, who buys and sells.
    ///
    /// # Errors
    /// When it can't be signed.
    pub fn token(user: &str) -> Result<String> {
        Self::token_with(user, &[], user)
    }

    /// A token for a user with these roles, of that id.
    ///
    /// # Errors
    /// When it can't be signed.
    pub fn token_with(user: &str, roles: &[&str], jti: &str) -> Result<String> {
        let now = Clock::system().now().seconds();
        let claims = json!({
            "userId": user, "roles": roles, "jti": jti, "iat": now, "exp": now + DAY_S
        });
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        Ok(encode(&Header::default(), &claims, &key)?)
    }

    /// What it holds now.
    ///
    /// # Errors
    /// When it is gone.
    pub fn measure(&self) -> Result<Kept> {
        let mut disk_bytes = 0.0;
        for file in fs::read_dir(&self.data)? {
            disk_bytes += file?.metadata()?.len() as f64;
        }
        Ok(Kept { rss_kb: self.status("VmRSS:")?, disk_bytes })
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
