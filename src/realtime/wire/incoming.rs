//! The client's frames on their way to the engine: one that has a name which the engine does not read
//! is changed (`names`). Everything else passes through untouched.

use std::borrow::Cow;

use crate::realtime::names::{EMPTY, LONGEST_START, Naming, has_query, naming, without_query};

/// Follows the frames of one websocket.
#[derive(Default)]
pub(super) struct Incoming {
    /// Bytes of the present frame that are still to come.
    rest: u64,
    /// The beginning of a frame that does not show yet what it is.
    partial: Option<Box<Partial>>,
}

struct Partial(Vec<u8>);

/// The longest CONNECT whose query is taken out: Node's server reads no longer one in a URL either.
const LONGEST_CONNECT: u64 = 16 * 1024;

/// The bit of a header that says that the payload is masked.
const MASKED: u8 = 0x80;

/// A text that is not in fragments.
const WHOLE_TEXT: u8 = 0x81;

/// A client's frame (RFC 6455, section 5.2).
struct Header {
    first: u8,
    mask: [u8; 4],
    length: u64,
    /// Bytes of the header itself.
    size: usize,
}

impl Header {
    /// The header at the start of `bytes`; none while it is not all there.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let (length, at) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
            short => (u64::from(short), 2),
        };
        if second & MASKED == 0 {
            // Not masked: the engine refuses it.
            return Some(Self { first, mask: [0; 4], length, size: at });
        }
        let mask = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(Self { first, mask, length, size: at + 4 })
    }

    /// Whether a text begins here, whole or in fragments.
    fn begins_text(&self) -> bool {
        self.first & 0x0f == 1
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.push(self.first);
        if let Ok(short @ 0..=125) = u8::try_from(self.length) {
            to.push(MASKED | short);
        } else if let Ok(medium) = u16::try_from(self.length) {
            to.push(MASKED | 0x7e);
            to.extend(medium.to_be_bytes());
        } else {
            to.push(MASKED | 0x7f);
            to.extend(self.length.to_be_bytes());
        }
        to.extend(self.mask);
    }

    fn masked<'a>(&self, bytes: impl Iterator<Item = &'a u8>) -> impl Iterator<Item = u8> {
        bytes.zip(self.mask.into_iter().cycle()).map(|(byte, mask)| byte ^ mask)
    }
}

impl Incoming {
    /// What the engine is to read in place of these bytes: it may be nothing for now.
    pub(super) fn pass<'a>(&mut self, read: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(partial) = self.partial.take() else {
            return match self.changes(read) {
                (None, end) => Cow::Borrowed(&read[..end]),
                (Some(changed), _) => Cow::Owned(changed),
            };
        };
        let mut bytes = partial.0;
        bytes.extend(read);
        let (changed, end) = self.changes(&bytes);
        bytes.truncate(end);
        Cow::Owned(changed.unwrap_or(bytes))
    }

    /// What becomes of these bytes, when it is not what they are, and how many of them were dealt
    /// with; the others are kept.
    fn changes(&mut self, bytes: &[u8]) -> (Option<Vec<u8>>, usize) {
        let (mut changed, mut copied) = (None::<Vec<u8>>, 0);
        let mut at = 0;
        loop {
            let here = (bytes.len() - at) as u64;
            if self.rest >= here {
                self.rest -= here;
                at = bytes.len();
                break;
            }
            // Less than what is here, which is in memory.
            at += usize::try_from(self.rest).unwrap_or(0);
            self.rest = 0;
            let Some(header) = Header::read(&bytes[at..]) else { break };
            let payload = &bytes[at + header.size..];
            let Some(has_query) = header.has_query(payload) else { break };
            if has_query {
                let Some(whole) = header.whole(payload) else { break };
                let changed = changed.get_or_insert_default();
                changed.extend(&bytes[copied..at]);
                // What is no text the engine refuses.
                let text = str::from_utf8(&whole).ok().and_then(without_query);
                header.write_whole(text.as_deref().map_or(&whole, str::as_bytes), changed);
                // Less than what is here, which is in memory.
                at += header.size + usize::try_from(header.length).unwrap_or(0);
                copied = at;
                continue;
            }
            match header.naming(payload) {
                Naming::Unknown => break,
                Naming::Plain => {
                    at += header.size;
                    self.rest = header.length;
                }
                Naming::Odd(before) => {
                    let changed = changed.get_or_insert_default();
                    changed.extend(&bytes[copied..at]);
                    header.write_changed(&payload[..before], changed);
                    at += header.size + before;
                    copied = at;
                    self.rest = header.length - before as u64;
                }
            }
        }
        if at < bytes.len() {
            self.partial = Some(Box::new(Partial(bytes[at..].to_vec())));
        }
        if let Some(changed) = &mut changed {
            changed.extend(&bytes[copied..at]);
        }
        (changed, at)
    }
}

/// The beginning of a packet.
type Start = smallvec::SmallVec<[u8; LONGEST_START]>;

impl Header {
    /// The beginning of the packet, and whether it is all of it.
    fn start(&self, payload: &[u8]) -> (Start, bool) {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        let seen = payload.len().min(length).min(LONGEST_START);
        (self.masked(payload[..seen].iter()).collect(), seen == length)
    }

    fn naming(&self, payload: &[u8]) -> Naming {
        if !self.begins_text() {
            return Naming::Plain;
        }
        let (start, is_whole) = self.start(payload);
        naming(&start, is_whole)
    }

    /// Whether it is a CONNECT, of a length that one has, whose namespace has a query; none when more
    /// of it has to be seen.
    fn has_query(&self, payload: &[u8]) -> Option<bool> {
        // One in fragments is seen by its beginning only, and nobody sends that.
        if self.first != WHOLE_TEXT || self.length > LONGEST_CONNECT {
            return Some(false);
        }
        let (start, is_whole) = self.start(payload);
        has_query(&start, is_whole)
    }

    /// The packet, when it is all there.
    fn whole(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let bytes = payload.get(..usize::try_from(self.length).ok()?)?;
        Some(self.masked(bytes.iter()).collect())
    }

    /// A frame with this payload in place of its own.
    fn write_whole(&self, payload: &[u8], to: &mut Vec<u8>) {
        let header = Self { length: payload.len() as u64, ..*self };
        header.write(to);
        to.extend(header.masked(payload.iter()));
    }

    /// The frame's beginning with an empty name at its end. What follows keeps its bytes: the mask is
    /// turned by as many as come in before them.
    fn write_changed(&self, start: &[u8], to: &mut Vec<u8>) {
        let mut mask = self.mask;
        mask.rotate_right(EMPTY.len() % 4);
        let header = Self { mask, length: self.length + EMPTY.len() as u64, ..*self };
        header.write(to);
        let start: Vec<u8> = self.masked(start.iter()).collect();
        to.extend(header.masked(start.iter().chain(EMPTY.as_bytes())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &str) -> Vec<u8> {
        let header =
            Header { first, mask: [1, 20, 130, 77], length: payload.len() as u64, size: 0 };
        let mut frame = Vec::new();
        header.write(&mut frame);
        frame.extend(header.masked(payload.as_bytes().iter()));
        frame
    }

    /// The payloads of whole frames.
    fn payloads(mut bytes: &[u8]) -> Vec<String> {
        let mut payloads = Vec::new();
        while let Some(header) = Header::read(bytes) {
            let end = header.size + usize::try_from(header.length).unwrap();
            let payload = header.masked(bytes[header.size..end].iter()).collect();
            payloads.push(String::from_utf8(payload).unwrap());
            bytes = &bytes[end..];
        }
        assert!(bytes.is_empty());
        payloads
    }

    #[test]
    fn frames_pass_in_pieces_of_every_size() {
        let long = format!(r#"42["message:send",{{"a":"{}"}}]"#, "x".repeat(70_000));
        let odd = format!(r#"42/chat,7["\n",{{"a":"{}"}}]"#, "é".repeat(150));
        let edge = format!("42[1,\"{}\"]", "x".repeat(116));
        let query = format!("40/chat?x={},", "y".repeat(300));
        let sent = [
            "2",
            &long,
            "42[1,2]",
            "",
            r#"42["a"]"#,
            &odd,
            &edge,
            "42[",
            "42[12345]",
            "41",
            &query,
            "40/x?,",
        ];
        let expected: Vec<String> = sent
            .iter()
            .map(|packet| crate::realtime::names::for_engine(packet).into_owned())
            .collect();
        let mut bytes: Vec<u8> = sent.iter().flat_map(|packet| frame(0x81, packet)).collect();
        // A ping between, and a message in two fragments.
        bytes.extend(frame(0x89, "42[1]"));
        bytes.extend(frame(0x01, "42[1,"));
        bytes.extend(frame(0x80, "42[1]"));
        let rest = ["42[1]", r#"42["",1,"#, "42[1]"].map(str::to_owned);
        let expected = [expected, rest.into()].concat();
        for size in [1, 2, 3, 5, 7, 14, 64, 2048, bytes.len()] {
            let mut incoming = Incoming::default();
            let passed: Vec<u8> =
                bytes.chunks(size).flat_map(|piece| incoming.pass(piece).into_owned()).collect();
            assert_eq!(payloads(&passed), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn plain_frames_are_not_copied() {
        let frame = frame(0x81, r#"42["message:send",{}]"#);
        assert!(matches!(Incoming::default().pass(&frame), Cow::Borrowed(bytes) if bytes == frame));
    }
}
