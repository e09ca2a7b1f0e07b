//! What a batch of items says to each socket. Every frame is here once, end to end with the
//! others, and a socket's portion is where its frames are: whoever hears the same is written the same
//! bytes. A batch that is over leaves its memory to the next.

use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::realtime::lane::Run;

/// Bytes of frames after which a batch is written.
const FULL: usize = 256 * 1024;

/// The frames of a batch, and who gets which.
#[derive(Default)]
pub(super) struct FrameBatch {
    gathers: bool,
    frames: Frames,
    /// One for each slot that gets some; those from `used` on wait for later batches.
    portions: Vec<Portion>,
    used: usize,
    /// A portion that is not one run.
    apart: Frames,
}

/// Frames in the order in which they were said.
#[derive(Default)]
struct Frames {
    each: Vec<Bytes>,
    bytes: Vec<u8>,
    /// Where each frame begins in `bytes`.
    starts: Vec<usize>,
}

#[derive(Default)]
struct Portion {
    slot: usize,
    /// Where the frames are, in their order.
    runs: SmallVec<[Range<usize>; 1]>,
}

/// Which portion of the batch is a slot's.
pub(super) type BatchIndex = Option<usize>;

impl FrameBatch {
    /// From now on frames are gathered, or written as they come.
    pub(super) fn gather(&mut self, gathers: bool) {
        self.gathers = gathers;
    }

    /// Whether frames wait for the end of the batch.
    pub(super) fn gathers(&self) -> bool {
        self.gathers
    }

    /// Whether it is time to write.
    pub(super) fn is_full(&self) -> bool {
        self.frames.bytes.len() >= FULL
    }

    /// Takes a frame in; where it is.
    pub(super) fn add(&mut self, frame: &Bytes) -> usize {
        self.frames.push(frame);
        self.frames.each.len() - 1
    }

    /// Gives a frame to a slot, after those that the slot has.
    pub(super) fn give(&mut self, frame: usize, slot: usize, batch_index: &mut BatchIndex) {
        let at = *batch_index.get_or_insert_with(|| self.begin_portion(slot));
        let runs = &mut self.portions[at].runs;
        match runs.last_mut() {
            Some(run) if run.end == frame => run.end += 1,
            _ => runs.push(frame..frame + 1),
        }
    }

    fn begin_portion(&mut self, slot: usize) -> usize {
        if self.used == self.portions.len() {
            self.portions.push(Portion::default());
        }
        self.portions[self.used].slot = slot;
        self.used += 1;
        self.used - 1
    }

    /// How many slots got frames.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Whose portion this is.
    pub(super) fn slot(&self, portion: usize) -> usize {
        self.portions[portion].slot
    }

    /// Takes a portion's frames out, if it has some.
    pub(super) fn take(&mut self, portion: usize) -> Option<Run<'_>> {
        let runs = std::mem::take(&mut self.portions[portion].runs);
        match &*runs {
            [] => None,
            [run] => Some(self.frames.run(run.clone())),
            runs => {
                self.apart.clear();
                for frame in runs.iter().cloned().flatten() {
                    self.apart.push(&self.frames.each[frame]);
                }
                Some(self.apart.run(0..self.apart.each.len()))
            }
        }
    }

    /// Ends the batch: every portion has been taken.
    pub(super) fn end(&mut self) {
        self.frames.clear();
        self.apart.clear();
        self.used = 0;
    }
}

impl Frames {
    fn push(&mut self, frame: &Bytes) {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(frame);
        self.each.push(frame.clone());
    }

    fn run(&self, frames: Range<usize>) -> Run<'_> {
        let end = self.starts.get(frames.end).copied().unwrap_or(self.bytes.len());
        let bytes = &self.bytes[self.starts[frames.start]..end];
        Run { frames: &self.each[frames], bytes }
    }

    fn clear(&mut self) {
        self.each.clear();
        self.starts.clear();
        self.bytes.clear();
        self.bytes.shrink_to(FULL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_gets_its_frames_in_their_order_end_to_end_whatever_the_others_get() {
        let mut frame_batch = FrameBatch::default();
        // The second batch begins with what the first has left.
        for length in [3, 1] {
            let frames = ["a", "b", "c", "d", "e"].map(|letter| Bytes::from(letter.repeat(length)));
            // All, none, some apart, the first, the last.
            let heard: [&[usize]; 5] = [&[0, 1, 2, 3, 4], &[], &[0, 2, 3], &[0], &[4]];
            let mut batch_indexes = [BatchIndex::None; 5];
            for (number, frame) in frames.iter().enumerate() {
                let at = frame_batch.add(frame);
                for (slot, batch_index) in batch_indexes.iter_mut().enumerate() {
                    if heard[slot].contains(&number) {
                        frame_batch.give(at, slot, batch_index);
                    }
                }
            }
            assert_eq!(frame_batch.len(), 4);
            for (slot, batch_index) in batch_indexes.into_iter().enumerate() {
                let Some(portion) = batch_index else {
                    assert!(heard[slot].is_empty(), "{slot}");
                    continue;
                };
                assert_eq!(frame_batch.slot(portion), slot);
                let expected: Vec<_> = heard[slot].iter().map(|at| frames[*at].clone()).collect();
                let run = frame_batch.take(portion).expect("frames");
                assert_eq!(run.frames, expected, "{slot}");
                assert_eq!(run.bytes, expected.concat(), "{slot}");
                assert!(frame_batch.take(portion).is_none(), "they are taken once");
            }
            frame_batch.end();
        }
    }

    #[test]
    fn a_batch_of_large_frames_is_soon_full_and_leaves_little_behind() {
        let mut frame_batch = FrameBatch::default();
        frame_batch.add(&Bytes::from(vec![b'x'; FULL - 1]));
        assert!(!frame_batch.is_full());
        frame_batch.add(&Bytes::from(vec![b'x'; 4 * FULL]));
        assert!(frame_batch.is_full());
        frame_batch.end();
        assert!(!frame_batch.is_full());
        assert!(frame_batch.frames.bytes.capacity() < 2 * FULL);
    }
}
