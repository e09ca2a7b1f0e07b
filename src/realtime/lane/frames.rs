//! Counts a client's frames as their bytes go by: the engine is shown few of them. It answers pings,
//! puts messages together and drops what it does not know, all without a word to us.

/// Where in the client's stream of frames we are.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Bytes of the frame under way that are still to come, its mask among them.
    rest: u64,
    /// The begin of a header that has not come whole.
    head: [u8; LONGEST],
    length: u8,
}

/// A header without its mask (RFC 6455, section 5.2).
const LONGEST: usize = 10;

/// Whether the payload is masked, beside its short length.
const MASKED: u8 = 0x80;

impl Frames {
    /// How many frames begin in the next bytes, by their whole headers.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut frames = 0;
        while let [next, after @ ..] = bytes {
            if self.rest > 0 {
                let skipped = bytes.len().min(usize::try_from(self.rest).unwrap_or(usize::MAX));
                self.rest -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.head[usize::from(self.length)] = *next;
            self.length += 1;
            bytes = after;
            if let Some(rest) = self.after_header() {
                self.rest = rest;
                self.length = 0;
                frames += 1;
            }
        }
        frames
    }

    /// The bytes after the header, when that is whole.
    fn after_header(&self) -> Option<u64> {
        let [_, short, long @ ..] = &self.head;
        let (whole, payload) = match (short & !MASKED, long) {
            (126, [a, b, ..]) => (4, u64::from(u16::from_be_bytes([*a, *b]))),
            (127, long) => (10, u64::from_be_bytes(*long)),
            (short, _) => (2, u64::from(short)),
        };
        let mask = if short & MASKED == 0 { 0 } else { 4 };
        (self.length >= whole).then_some(payload.saturating_add(mask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: usize) -> Vec<u8> {
        let mut frame = vec![0x81];
        match (u8::try_from(payload), u16::try_from(payload)) {
            (Ok(short @ 0..126), _) => frame.push(MASKED | short),
            (_, Ok(medium)) => {
                frame.push(MASKED | 0x7e);
                frame.extend(medium.to_be_bytes());
            }
            _ => {
                frame.push(MASKED | 0x7f);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0xff; payload + 4]);
        frame
    }

    #[test]
    fn frames_are_counted_however_their_bytes_are_cut() {
        let sizes = [0, 1, 125, 126, 1000, 65_535, 65_536, 70_000, 0, 0];
        let stream = sizes.map(frame).concat();
        for cut in [1, 2, 3, 7, 64, 2048, stream.len()] {
            let mut frames = Frames::default();
            let counted: usize = stream.chunks(cut).map(|bytes| frames.count(bytes)).sum();
            assert_eq!(counted, sizes.len(), "in pieces of {cut}");
        }
    }

    #[test]
    fn a_length_that_nobody_sends_is_one_frame() {
        let mut frames = Frames::default();
        let head = [&[0x81, 0xff][..], &[0xff; 8]].concat();
        assert_eq!(frames.count(&head), 1);
        assert_eq!(frames.count(&[0; 100]), 0);
    }
}
