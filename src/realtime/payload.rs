//! The bodies of polling: packets one after the other (Engine.IO protocol v4, "Packet encoding", and
//! v3, "Payload").

use std::{borrow::Borrow, fmt::Write as _, io::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};

use super::frame;

/// What parts the packets of a body in version 4.
const SEPARATOR: char = '\u{1e}';

/// From how many bytes on a body is compressed (`httpCompression.threshold` of Node's server).
const GZIP_FROM: usize = 1024;

/// What parts the packets of most bodies takes.
const LENGTH: usize = 6;

/// A body is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoPayload;

/// The packets of a body: parted by a separator, or, in version 3, each with its length before it,
/// in characters as JavaScript counts them (UTF-16 code units).
pub(crate) struct Packets<'a> {
    rest: &'a str,
    v3: bool,
}

impl<'a> Packets<'a> {
    pub(crate) fn of(body: &'a str, v3: bool) -> Self {
        Self { rest: body, v3 }
    }

    /// The next packet of version 3.
    fn next_by_length(&mut self) -> Option<&'a str> {
        let (length, after) = self.rest.split_once(':')?;
        let length: usize = length.parse().ok()?;
        let mut units = 0;
        let within = after.chars().take_while(|c| {
            units += c.len_utf16();
            units <= length
        });
        let (packet, rest) = after.split_at(within.map(char::len_utf8).sum());
        self.rest = rest;
        (utf16_length(packet.as_bytes()) == length && length > 0).then_some(packet)
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<&'a str, NoPayload>;

    /// After what is no packet nothing comes.
    fn next(&mut self) -> Option<Self::Item> {
        if self.v3 {
            if self.rest.is_empty() {
                return None;
            }
            let packet = self.next_by_length();
            if packet.is_none() {
                self.rest = "";
            }
            return Some(packet.ok_or(NoPayload));
        }
        let rest = self.rest.trim_start_matches(SEPARATOR);
        let (packet, rest) = rest.split_once(SEPARATOR).unwrap_or((rest, ""));
        self.rest = rest;
        (!packet.is_empty()).then_some(Ok(packet))
    }
}

/// Packets as a body.
pub(super) fn join<S: Borrow<str>>(packets: &[S], v3: bool) -> String {
    if !v3 {
        return packets.join(SEPARATOR.encode_utf8(&mut [0; 4]));
    }
    let mut body = String::new();
    for packet in packets.iter().map(Borrow::borrow) {
        // Writing to a string does not fail.
        let _ = write!(body, "{}:{packet}", utf16_length(packet.as_bytes()));
    }
    body
}

/// The packets of a body of `application/octet-stream` (version 3): each after its kind (0 a text, 1
/// binary), its length in bytes, a digit a byte, and 255. What is binary becomes a text in base64, as
/// clients write it in other bodies.
pub(crate) fn of_octets(mut body: &[u8]) -> Result<Vec<String>, NoPayload> {
    let mut packets = Vec::new();
    while let [kind @ (0 | 1), rest @ ..] = body {
        let end = rest.iter().position(|byte| *byte == 0xff).ok_or(NoPayload)?;
        let (digits, rest) = (&rest[..end], &rest[end + 1..]);
        if !(1..=DIGITS).contains(&digits.len()) || digits.iter().any(|digit| *digit > 9) {
            return Err(NoPayload);
        }
        let length = digits.iter().fold(0, |length, digit| length * 10 + usize::from(*digit));
        let packet = rest.get(..length).ok_or(NoPayload)?;
        packets.push(match (kind, packet) {
            (0, text @ [_, ..]) => std::str::from_utf8(text).map_err(|_| NoPayload)?.to_owned(),
            (1, [MESSAGE, data @ ..]) => format!("b4{}", STANDARD.encode(data)),
            _ => return Err(NoPayload),
        });
        body = &rest[length..];
    }
    if body.is_empty() { Ok(packets) } else { Err(NoPayload) }
}

/// Engine.IO's type of a message, as the first byte of a binary packet.
const MESSAGE: u8 = 4;

/// Digits of the longest length that fits into memory.
const DIGITS: usize = 10;

/// Refusals as Engine.IO 3 clients read them.
pub(super) fn with_plain_errors(packets: Bytes) -> Bytes {
    let Ok(body) = std::str::from_utf8(&packets) else { return packets };
    if !body.contains("44") {
        return packets;
    }
    let plain: Vec<String> = Packets::of(body, true)
        .flatten()
        .map(|packet| frame::plain_error(packet).unwrap_or_else(|| packet.to_owned()))
        .collect();
    join(&plain, true).into()
}

/// The payloads of frames behind the packets of a body.
pub(super) fn with_frames(packets: Bytes, frames: &[Bytes], v3: bool) -> Bytes {
    if frames.is_empty() {
        return packets;
    }
    let length = frames.iter().map(|frame| frame.len() + LENGTH).sum::<usize>();
    let mut body = BytesMut::with_capacity(packets.len() + length);
    body.put(packets);
    for (payload, _) in frames.iter().filter_map(|frame| frame::first(frame)) {
        if v3 {
            // Writing to memory does not fail.
            let _ = write!(body, "{}:", utf16_length(payload));
        } else if !body.is_empty() {
            body.put_u8(SEPARATOR as u8);
        }
        body.put_slice(payload);
    }
    body.freeze()
}

/// A body for who takes gzip; none for one that is short, as on Node's server. It is done at once, so
/// that no encoder is kept for a client that reads slowly.
pub(super) fn gzip(body: &[u8]) -> Option<Bytes> {
    if body.len() < GZIP_FROM {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    encoder.write_all(body).and_then(|()| encoder.finish()).ok().map(Bytes::from)
}

/// How many UTF-16 code units a UTF-8 text has: one for each character, and two for those of four
/// bytes.
fn utf16_length(text: &[u8]) -> usize {
    text.iter().map(|byte| usize::from(byte & 0xc0 != 0x80) + usize::from(*byte >= 0xf0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(body: &str, v3: bool) -> Result<Vec<&str>, NoPayload> {
        Packets::of(body, v3).collect()
    }

    #[test]
    fn packets_of_both_versions_come_apart_and_together() {
        for (v3, body, parts) in [
            (false, "40\u{1e}42[\"é\"]", vec!["40", "42[\"é\"]"]),
            (true, "2:407:42[\"é\"]1:2", vec!["40", "42[\"é\"]", "2"]),
            (true, "8:42[\"👋\"]1:2", vec!["42[\"👋\"]", "2"]),
        ] {
            assert_eq!(packets(body, v3).as_ref(), Ok(&parts));
            assert_eq!(join(&parts, v3), body);
        }
        assert_eq!(packets("", false), Ok(vec![]));
        assert_eq!(packets("", true), Ok(vec![]));
        for body in ["x", "abc:2", "1:2x", "2:4", "0:", "-1:2", "1:👋", "1:21:"] {
            assert_eq!(packets(body, true), Err(NoPayload), "{body}");
        }
    }

    #[test]
    fn frames_of_every_size_stand_behind_the_packets() {
        let long = "x".repeat(70_000);
        let texts = ["42[1]", "42[\"é👋\"]", &"y".repeat(200), &long];
        let frames = texts.map(|text| frame::text(&[text]));
        for (v3, before) in [(false, ""), (false, "40"), (true, ""), (true, "2:40")] {
            let body = with_frames(before.into(), &frames, v3);
            let there: Vec<_> = packets(before, v3).unwrap().into_iter().chain(texts).collect();
            assert_eq!(packets(std::str::from_utf8(&body).unwrap(), v3), Ok(there));
        }
        assert_eq!(with_frames("40".into(), &[], false), "40");
    }

    #[test]
    fn octets_come_apart() {
        let event = "42[\"é👋\"]";
        let text = [&[0, 1, 2, 0xff], event.as_bytes()].concat();
        assert_eq!(event.len(), 12);
        let binary = [1, 4, 0xff, 4, 0, 0xff, 7];
        let body = [&text[..], &binary, &[0, 1, 0xff, b'2']].concat();
        assert_eq!(of_octets(&body).unwrap(), [event, "b4AP8H", "2"]);
        assert_eq!(of_octets(&[]), Ok(vec![]));
        for body in [
            &[0][..],
            &[0, 1],
            &[0, 0xff, b'2'],
            &[0, 2, 0xff, b'2'],
            &[0, 11, 0xff, b'2'],
            &[2, 1, 0xff, b'2'],
            &[0, 1, 0xff, 0xff],
            &[1, 1, 0xff, 3],
            &[0, 1, 0xff, b'2', 0],
            b"1:2",
        ] {
            assert_eq!(of_octets(body), Err(NoPayload), "{body:?}");
        }
        assert_eq!(of_octets(&[&[0; 1][..], &[9; 40], &[0xff]].concat()), Err(NoPayload));
    }
}
