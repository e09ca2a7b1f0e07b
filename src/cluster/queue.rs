//! What waits to be sent to other nodes. It may be lost, so the oldest goes where there is too much, and
//! nothing waits while there is nobody to send it to: what is late is worth nothing.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::Notify;

use crate::metrics;

/// Items that wait at most, and their bytes (docs/limits.md).
const ITEMS: usize = 10_000;
const BYTES: usize = 8_000_000;

/// Items that are sent at once, and their bytes, about.
const ITEMS_AT_ONCE: usize = 1000;
const BYTES_AT_ONCE: usize = 1_000_000;

#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<Box<RawValue>>,
    bytes: usize,
    is_open: bool,
}

impl Queue {
    /// From now on items wait.
    pub(super) fn open(&self) {
        self.waiting.lock().is_open = true;
    }

    /// Drops what waits, and from now on what comes.
    pub(super) fn close(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        metrics::cluster_queued().set(0.0);
        drop_counted("away", waiting.items.len());
    }

    /// One more waits.
    pub(super) fn push(&self, item: Box<RawValue>) {
        let mut waiting = self.waiting.lock();
        if !waiting.is_open {
            drop(waiting);
            return drop_counted("away", 1);
        }
        waiting.bytes += item.get().len();
        waiting.items.push_back(item);
        let mut dropped = 0;
        while waiting.items.len() > ITEMS || waiting.bytes > BYTES {
            dropped += usize::from(waiting.take_first().is_some());
        }
        waiting.tell();
        drop(waiting);
        drop_counted("queue_full", dropped);
        self.filled.notify_one();
    }

    /// Waits for some, the oldest.
    pub(super) async fn take(&self) -> Vec<Box<RawValue>> {
        loop {
            let some = self.waiting.lock().take_some();
            if !some.is_empty() {
                return some;
            }
            self.filled.notified().await;
        }
    }
}

impl Waiting {
    fn tell(&self) {
        metrics::cluster_queued()
            .set(f64::from(u32::try_from(self.items.len()).unwrap_or(u32::MAX)));
    }

    fn take_first(&mut self) -> Option<Box<RawValue>> {
        let first = self.items.pop_front()?;
        self.bytes -= first.get().len();
        Some(first)
    }

    fn take_some(&mut self) -> Vec<Box<RawValue>> {
        let (mut some, mut bytes) = (Vec::new(), 0);
        while some.len() < ITEMS_AT_ONCE
            && bytes < BYTES_AT_ONCE
            && let Some(item) = self.take_first()
        {
            bytes += item.get().len();
            some.push(item);
        }
        self.tell();
        some
    }
}

fn drop_counted(reason: &'static str, items: usize) {
    if items > 0 {
        metrics::cluster_dropped(reason).increment(items as u64);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn item(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn taken(queue: &Queue) -> Vec<String> {
        let some = queue.take().now_or_never().unwrap_or_default();
        some.iter().map(|item| item.get().to_owned()).collect()
    }

    #[test]
    fn the_oldest_goes_where_there_is_too_much_and_all_when_it_closes() {
        let queue = Queue::default();
        queue.push(item("0"));
        assert!(taken(&queue).is_empty(), "closed");
        queue.open();
        for number in 0..ITEMS + 3 {
            queue.push(item(&number.to_string()));
        }
        let first = taken(&queue);
        assert_eq!((first.len(), first[0].as_str()), (ITEMS_AT_ONCE, "3"));
        let large = format!("\"{}\"", "x".repeat(3_000_000));
        queue.push(item(&large));
        queue.push(item(&large));
        queue.push(item(&large));
        assert_eq!(taken(&queue).len(), 1, "as much as is sent at once, and two are left");
        assert_eq!(taken(&queue).len(), 1);
        assert!(taken(&queue).is_empty());
        queue.push(item("1"));
        queue.close();
        queue.push(item("2"));
        queue.open();
        queue.push(item("3"));
        assert_eq!(taken(&queue), ["3"]);
    }
}
