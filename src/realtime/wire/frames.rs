//! Follows a client's frames as their bytes go by to the engine, which shows few of them: it answers
//! pings, puts messages together, drops what it does not know, and closes over what breaks the
//! protocol, all without a word to us. Here they are counted, and what is wrong with one is noted, so
//! that the close frame can say it (RFC 6455, section 7.4.1).

/// Where in the client's stream of frames we are: nowhere in particular between two messages.
#[derive(Debug, Default)]
pub(super) struct Frames(Option<Box<State>>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    /// A header with its mask, or the begin of one.
    header: [u8; LONGEST],
    length: u8,
    /// Bytes of the payload under way that are still to come.
    rest: u64,
    /// The message that a frame goes on with.
    message: Option<Message>,
    fault: Option<Fault>,
}

/// A message that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    is_text: bool,
    bytes: u64,
    utf8: Utf8,
}

/// What a client did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A frame that is none.
    Protocol = 1002,
    /// A text that is not UTF-8.
    Text = 1007,
    /// A message that is too long.
    TooLarge = 1009,
}

/// A header with its mask (RFC 6455, section 5.2).
const LONGEST: usize = 14;

/// Whether the payload is masked, beside its short length.
const MASKED: u8 = 0x80;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PONG: u8 = 10;

/// The longest payload of a frame between the frames of a message.
const LONGEST_CONTROL: u64 = 125;

impl Frames {
    /// How many frames begin in the next bytes, by their whole headers. A message may have up to `most`
    /// bytes.
    pub(super) fn pass(&mut self, mut bytes: &[u8], most: u64) -> usize {
        let mut state = self.0.take().unwrap_or_default();
        let mut frames = 0;
        while !bytes.is_empty() {
            if state.rest > 0 {
                let here = bytes.len().min(usize::try_from(state.rest).unwrap_or(usize::MAX));
                state.payload(&bytes[..here]);
                bytes = &bytes[here..];
                continue;
            }
            state.header[usize::from(state.length)] = bytes[0];
            state.length += 1;
            bytes = &bytes[1..];
            if let Some(payload) = state.payload_length() {
                frames += 1;
                state.begin(payload, most);
            }
        }
        if *state != State::default() {
            self.0 = Some(state);
        }
        frames
    }

    /// What was the first thing wrong.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.0.as_ref()?.fault
    }
}

impl State {
    /// The length of the payload, when the header is whole.
    fn payload_length(&self) -> Option<u64> {
        let [_, short, long @ ..] = &self.header;
        let (whole, payload) = match (short & !MASKED, long) {
            (126, [a, b, ..]) => (4, u64::from(u16::from_be_bytes([*a, *b]))),
            (127, [wide @ .., _, _, _, _]) => (10, u64::from_be_bytes(*wide)),
            (short, _) => (2, u64::from(short)),
        };
        let mask = if short & MASKED == 0 { 0 } else { 4 };
        (self.length >= whole + mask).then_some(payload)
    }

    /// A frame begins.
    fn begin(&mut self, payload: u64, most: u64) {
        let [first, second, ..] = self.header;
        let opcode = first & 0x0f;
        let is_control = opcode >= CLOSE;
        let is_sound = first & RESERVED == 0
            && second & MASKED != 0
            && match opcode {
                CONTINUATION => self.message.is_some(),
                TEXT | BINARY => self.message.is_none(),
                CLOSE..=PONG => first & FIN != 0 && payload <= LONGEST_CONTROL,
                _ => false,
            };
        if !is_sound {
            self.note(Fault::Protocol);
        } else if !is_control {
            let begun = Message { is_text: opcode == TEXT, bytes: 0, utf8: Utf8::default() };
            let message = self.message.get_or_insert(begun);
            message.bytes = message.bytes.saturating_add(payload);
            if message.bytes > most {
                self.note(Fault::TooLarge);
            }
        }
        self.rest = payload;
        if payload == 0 {
            self.end();
        }
    }

    /// Some of the payload.
    fn payload(&mut self, bytes: &[u8]) {
        let is_control = self.header[0] & 0x0f >= CLOSE;
        if self.fault.is_none()
            && !is_control
            && let Some(message) = self.message.as_mut().filter(|message| message.is_text)
        {
            // Sound frames are masked, by the last bytes of their header.
            let mask = &mut self.header[usize::from(self.length) - 4..usize::from(self.length)];
            let unmasked = bytes.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
            let is_utf8 = message.utf8.goes_on(unmasked);
            mask.rotate_left(bytes.len() % 4);
            if !is_utf8 {
                self.note(Fault::Text);
            }
        }
        self.rest -= bytes.len() as u64;
        if self.rest == 0 {
            self.end();
        }
    }

    /// The frame has ended, and with its last one the message.
    fn end(&mut self) {
        let first = self.header[0];
        if first & 0x0f < CLOSE && first & FIN != 0 {
            let message = self.message.take();
            if message.is_some_and(|message| message.is_text && message.utf8 != Utf8::Between) {
                self.note(Fault::Text);
            }
        }
        (self.header, self.length) = ([0; LONGEST], 0);
    }

    fn note(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }
}

/// Where in a text we are (Unicode, table 3-7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Utf8 {
    /// Between two characters.
    #[default]
    Between,
    One,
    Two,
    Three,
    /// Two more, which would be one where they are too small.
    AfterE0,
    /// Two more, which would be half a surrogate where they are too large.
    AfterEd,
    AfterF0,
    AfterF4,
}

impl Utf8 {
    /// Whether it is still UTF-8 with these bytes.
    fn goes_on(&mut self, bytes: impl Iterator<Item = u8>) -> bool {
        for byte in bytes {
            *self = match (*self, byte) {
                (Self::Between, 0..=0x7f) | (Self::One, 0x80..=0xbf) => Self::Between,
                (Self::Between, 0xc2..=0xdf)
                | (Self::Two, 0x80..=0xbf)
                | (Self::AfterE0, 0xa0..=0xbf)
                | (Self::AfterEd, 0x80..=0x9f) => Self::One,
                (Self::Between, 0xe1..=0xec | 0xee | 0xef)
                | (Self::Three, 0x80..=0xbf)
                | (Self::AfterF0, 0x90..=0xbf)
                | (Self::AfterF4, 0x80..=0x8f) => Self::Two,
                (Self::Between, 0xe0) => Self::AfterE0,
                (Self::Between, 0xed) => Self::AfterEd,
                (Self::Between, 0xf0) => Self::AfterF0,
                (Self::Between, 0xf1..=0xf3) => Self::Three,
                (Self::Between, 0xf4) => Self::AfterF4,
                _ => return false,
            };
        }
        true
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
        frame.extend([1, 2, 3, 4]);
        frame.extend([1 ^ b'a', 2 ^ b'a', 3 ^ b'a', 4 ^ b'a'].iter().cycle().take(payload));
        frame
    }

    #[test]
    fn frames_are_counted_however_their_bytes_are_cut() {
        let sizes = [0, 1, 125, 126, 1000, 65_535, 65_536, 70_000, 0, 0];
        let stream = sizes.map(frame).concat();
        for cut in [1, 2, 3, 7, 64, 2048, stream.len()] {
            let mut frames = Frames::default();
            let counted: usize = stream.chunks(cut).map(|bytes| frames.pass(bytes, u64::MAX)).sum();
            assert_eq!(counted, sizes.len(), "in pieces of {cut}");
            assert!(frames.0.is_none(), "nothing is kept between two messages");
        }
    }

    #[test]
    fn a_length_that_nobody_sends_is_one_frame() {
        let mut frames = Frames::default();
        let head = [&[0x81, 0xff][..], &[0xff; 12]].concat();
        assert_eq!(frames.pass(&head, u64::MAX), 1);
        assert_eq!(frames.pass(&[0; 100], u64::MAX), 0);
    }

    /// A masked frame.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 20, 130, 77];
        let length = u8::try_from(payload.len()).unwrap();
        let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        [0x80 | first, MASKED | length].into_iter().chain(mask).chain(payload).collect()
    }

    #[test]
    fn what_is_wrong_is_noted_however_its_bytes_are_cut() {
        let text = |bytes: &[u8]| masked(TEXT, bytes);
        let opened = |mut frame: Vec<u8>| {
            frame[0] &= !FIN;
            frame
        };
        let good = [
            text("é€👋\u{7ff}\u{ffff}\u{d7ff}\u{e000}\u{10ffff}\0".as_bytes()),
            masked(BINARY, &[0xff, 0xc0]),
            [opened(text(&[0xc3])), masked(9, &[0xff]), masked(CONTINUATION, &[0xa9])].concat(),
            masked(CLOSE, &[3, 232]),
            text(&[]),
        ];
        let bad = [
            (Fault::Text, text(&[0xc0, 0x80])),
            (Fault::Text, text(&[0xed, 0xa0, 0x80])),
            (Fault::Text, text(&[0xf4, 0x90, 0x80, 0x80])),
            (Fault::Text, text(&[b'a', 0xe2, 0x82])),
            (Fault::Text, [opened(text(&[0xc3])), masked(CONTINUATION, b"a")].concat()),
            (Fault::Protocol, vec![0x81, 1, b'a']),
            (Fault::Protocol, masked(0x41, b"a")),
            (Fault::Protocol, masked(3, b"a")),
            (Fault::Protocol, masked(11, b"a")),
            (Fault::Protocol, masked(CONTINUATION, b"a")),
            (Fault::Protocol, [opened(text(b"a")), text(b"a")].concat()),
            (Fault::Protocol, opened(masked(9, b"a"))),
            (Fault::TooLarge, text(&[b'a'; 101])),
            (
                Fault::TooLarge,
                [opened(text(&[b'a'; 60])), masked(CONTINUATION, &[b'a'; 41])].concat(),
            ),
        ];
        let cases = good.into_iter().map(|bytes| (None, bytes));
        let cases = cases.chain(bad.into_iter().map(|(fault, bytes)| (Some(fault), bytes)));
        for (fault, bytes) in cases {
            for cut in [1, 2, 3, 7, bytes.len()] {
                let mut frames = Frames::default();
                for piece in bytes.chunks(cut) {
                    frames.pass(piece, 100);
                }
                assert_eq!(frames.fault(), fault, "{bytes:?} in pieces of {cut}");
            }
        }
    }
}
