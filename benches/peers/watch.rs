//! Those who watch a server as operators do: its traces are collected, a console is open, and somebody
//! listens to every event.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::load::token;

/// What the console asks, and how often.
const PAGES: [&str; 5] =
    ["status", "history", "sockets?limit=50", "rooms?order=size&limit=50", "nodes"];
const OPEN: Duration = Duration::from_secs(5);

/// How soon it is noticed that it is over.
const LOOK: Duration = Duration::from_millis(100);

/// Where traces are taken, and nothing is done with them, as long as this program runs.
pub fn collector() -> Result<String> {
    static ADDRESS: LazyLock<Option<SocketAddr>> = LazyLock::new(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        let address = listener.local_addr().ok();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever sends traces may hang up.
                thread::spawn(move || drop(collect(&stream)));
            }
        });
        address
    });
    let address = ADDRESS.context("no port for traces")?;
    Ok(format!("http://{address}"))
}

fn collect(stream: &TcpStream) -> Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line)? > 0 && line != "\r\n" {
            let header = line.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        reader.read_exact(&mut vec![0; length])?;
        (&*stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    }
}

/// An open console, and a listener, until it is dropped.
pub struct Watch {
    is_over: Arc<AtomicBool>,
    watching: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Watches the server there.
    ///
    /// # Errors
    /// When it lets nobody.
    pub fn start(address: SocketAddr) -> Result<Self> {
        let (token, is_over) = (token::of_an_admin(999_999)?, Arc::<AtomicBool>::default());
        let mut listener = ask(address, "tail", &token)?;
        look(address, &token)?;
        let over = is_over.clone();
        let listening = thread::spawn(move || {
            let mut told = vec![0; 65_536];
            while !over.load(Ordering::Relaxed) {
                // Nothing to read is no reason to go.
                let _ = listener.read(&mut told);
            }
        });
        let over = is_over.clone();
        let looking = thread::spawn(move || {
            let mut waited = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                thread::sleep(LOOK);
                waited += LOOK;
                if waited >= OPEN {
                    waited = Duration::ZERO;
                    // The server may have ended.
                    let _ = look(address, &token);
                }
            }
        });
        Ok(Self { is_over, watching: vec![listening, looking] })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for watching in self.watching.drain(..) {
            let _ = watching.join();
        }
    }
}

/// Looks at each page once.
fn look(address: SocketAddr, token: &str) -> Result<()> {
    PAGES.iter().try_for_each(|page| {
        ask(address, page, token)?.read_to_end(&mut Vec::new())?;
        Ok(())
    })
}

/// Asks for something, and reads as far as that it is there.
fn ask(address: SocketAddr, what: &str, token: &str) -> Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(OPEN))?;
    write!(
        stream,
        "GET /api/{what} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    )?;
    let (mut answer, mut status) = (BufReader::new(stream), String::new());
    answer.read_line(&mut status)?;
    ensure!(status.contains(" 200 "), "/api/{what}: {status}");
    answer.get_ref().set_read_timeout(Some(LOOK))?;
    Ok(answer)
}
