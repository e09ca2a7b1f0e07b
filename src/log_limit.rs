//! How often one line is written: whatever a stranger can cause at will is told once in a while for
//! each kind and address, with the number of those that were left out. The log is the process's, and
//! so is this.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::LazyLock,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// For how long one line stands for those like it.
const WINDOW: Duration = Duration::from_mins(1);

/// Lines of one kind and address that are told apart by what they are about, at a time: it may be a
/// stranger's text. Those beyond it count as one.
const ABOUT: usize = 4;

/// Lines that are told apart at a time. Addresses are many: those beyond it count as one of each kind.
const MOST: usize = 1000;

static LINES: LazyLock<Lines> = LazyLock::new(Lines::default);

/// Whether a line may be written, and how many like it were left out since the last one: lines are
/// alike when they are of one kind, by one address where there is one, and about the same; of the last
/// only a few are told apart.
#[must_use]
pub fn admit(kind: &'static str, address: Option<IpAddr>, about: &str) -> Option<u64> {
    LINES.admit(kind, address, about)
}

#[derive(Default)]
struct Lines {
    state: Mutex<State>,
    hasher: RandomState,
}

#[derive(Default)]
struct State {
    written: HashMap<u64, Written>,
}

/// A line that was written.
struct Written {
    kind: &'static str,
    address: Option<IpAddr>,
    until: Instant,
    left_out: u64,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn admit(&self, kind: &'static str, address: Option<IpAddr>, about: &str) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.lock();
        let mut key = self.hasher.hash_one((kind, address, about));
        let mut address = address;
        if !state.written.contains_key(&key) {
            let alike = |line: &&Written| (line.kind, line.address) == (kind, address);
            let alike = state.written.values().filter(|line| line.until > now).filter(alike);
            if alike.count() >= ABOUT {
                key = self.hasher.hash_one((kind, address));
            }
        }
        if state.written.len() >= MOST && !state.written.contains_key(&key) {
            address = None;
            key = self.hasher.hash_one((kind, "others"));
        }
        let written =
            state.written.entry(key).or_insert(Written { kind, address, until: now, left_out: 0 });
        if written.until > now {
            written.left_out += 1;
            return None;
        }
        written.until = now + WINDOW;
        Some(std::mem::take(&mut written.left_out))
    }

    /// Forgets lines whose time is over; those that stood for others, to be told of.
    fn sweep(&self) -> Vec<Written> {
        let now = Instant::now();
        let mut state = self.lock();
        let over = state.written.extract_if(|_, written| written.until <= now);
        over.map(|(_, written)| written).filter(|written| written.left_out > 0).collect()
    }
}

/// Tells, now and then, of lines that were left out and that nothing more like them came after, for
/// ever. Without it they are told with the next one alone.
pub async fn tell_the_rest() {
    loop {
        tokio::time::sleep(WINDOW).await;
        for Written { kind, address, left_out, .. } in LINES.sweep() {
            let address = address.map(tracing::field::display);
            tracing::info!(kind, address, left_out, "more of the same was left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as lines are asked for")]
    fn address(n: u32) -> Option<IpAddr> {
        Some(Ipv4Addr::from_bits(n).into())
    }

    #[tokio::test(start_paused = true)]
    async fn one_line_stands_for_those_like_it_and_the_next_tells_how_many_they_were() {
        let lines = Lines::default();
        assert_eq!(lines.admit("a", address(1), ""), Some(0));
        for _ in 0..100 {
            assert_eq!(lines.admit("a", address(1), ""), None);
        }
        assert_eq!(lines.admit("b", address(1), ""), Some(0), "another kind");
        assert_eq!(lines.admit("a", address(2), ""), Some(0), "another address");
        assert_eq!(lines.admit("a", address(1), "x"), Some(0), "about something else");
        tokio::time::advance(WINDOW).await;
        assert_eq!(lines.admit("a", address(1), ""), Some(100));
        assert_eq!(lines.admit("a", address(1), ""), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_lines_are_about_tells_a_few_of_an_address_apart_and_no_more() {
        let lines = Lines::default();
        let about = |n: usize| format!("https://{n}.example");
        for address in [address(1), address(2), None] {
            let written = (0..400).filter(|n| lines.admit("a", address, &about(*n)).is_some());
            assert_eq!(written.count(), ABOUT + 1);
        }
        assert_eq!(lines.admit("b", address(1), &about(0)), Some(0), "another kind");
        assert!(lines.lock().written.len() <= 3 * (ABOUT + 1) + 1);
        tokio::time::advance(WINDOW).await;
        let told = lines.sweep();
        let left = lines.lock().written.len();
        let left_out: usize = told.iter().map(|line| usize::try_from(line.left_out).unwrap()).sum();
        assert_eq!((left_out, left), (3 * (400 - ABOUT - 1), 0));
        assert_eq!(lines.admit("a", address(1), &about(7)), Some(0), "the next window");
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_beyond_those_that_are_told_apart_count_as_one() {
        let lines = Lines::default();
        let many = u32::try_from(10 * MOST).unwrap();
        let written = (0..many).filter(|n| lines.admit("a", address(*n), "").is_some()).count();
        assert_eq!(written, MOST + 1);
        assert_eq!(lines.admit("b", address(0), ""), Some(0), "another kind");
        assert!(lines.lock().written.len() <= MOST + 2);
        tokio::time::advance(WINDOW).await;
        let told = lines.sweep();
        let left = lines.lock().written.len();
        let left_out: u64 = told.iter().map(|written| written.left_out).sum();
        assert_eq!((left_out, left), (u64::from(many) - MOST as u64 - 1, 0));
    }
}
