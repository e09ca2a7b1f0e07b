//! Just enough of websocket framing (RFC 6455, section 5.2): whole frames, no extensions.

use std::ops::Range;

use anyhow::{Result, ensure};

/// A text frame.
pub const TEXT: u8 = 1;
/// A close frame.
pub const CLOSE: u8 = 8;
/// A websocket ping, not Engine.IO's.
pub const PING: u8 = 9;
/// The answer to it.
pub const PONG: u8 = 10;

/// How events begin that say who is online.
const NEWS: &[u8; 8] = br#"42["user"#;

const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0x8e];

/// Where the first frame of some bytes lies.
pub struct Frame {
    /// What kind of frame it is.
    pub opcode: u8,
    /// Where its payload stands.
    pub payload: Range<usize>,
    /// The key its payload is masked with.
    pub mask: Option<[u8; 4]>,
}

/// Finds the first frame; `None` while it has not come whole.
///
/// # Errors
/// Fragments and extension bits, which no server here sends.
#[inline]
pub fn first(bytes: &[u8]) -> Result<Option<Frame>> {
    let [head, length, ..] = *bytes else { return Ok(None) };
    ensure!(head & 0xf0 == 0x80, "a fragmented or extended frame came: {head:#04x}");
    let (mut start, length) = match length & 0x7f {
        126 => match bytes.get(2..4) {
            Some(wide) => (4, usize::from(u16::from_be_bytes(wide.try_into()?))),
            None => return Ok(None),
        },
        127 => match bytes.get(2..10) {
            Some(wide) => (10, usize::try_from(u64::from_be_bytes(wide.try_into()?))?),
            None => return Ok(None),
        },
        short => (2, usize::from(short)),
    };
    let mut mask = None;
    if bytes[1] & 0x80 != 0 {
        let Some(key) = bytes.get(start..start + 4) else { return Ok(None) };
        mask = Some(key.try_into()?);
        start += 4;
    }
    let payload = start..start + length;
    Ok((payload.end <= bytes.len()).then_some(Frame { opcode: head & 0x0f, payload, mask }))
}

/// How many frames at the front are news of users, and how long they are: of what comes, most is that
/// in a storm.
#[inline]
pub fn news(bytes: &[u8]) -> (u64, usize) {
    let (mut frames, mut end) = (0, 0);
    while let Some([head, length, payload @ ..]) = bytes[end..].first_chunk::<10>()
        && (*head, payload) == (0x80 | TEXT, NEWS)
        && *length < 126
        && end + 2 + usize::from(*length) <= bytes.len()
    {
        frames += 1;
        end += 2 + usize::from(*length);
    }
    (frames, end)
}

/// Appends a frame as a client sends it.
pub fn push_masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    push_head(out, opcode, payload.len(), 0x80);
    out.extend_from_slice(&MASK);
    let start = out.len();
    out.extend_from_slice(payload);
    apply(MASK, &mut out[start..]);
}

/// Appends a frame as a server sends it.
pub fn push_plain(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    push_head(out, opcode, payload.len(), 0);
    out.extend_from_slice(payload);
}

/// Masks a payload, or takes the mask off.
pub fn apply(mask: [u8; 4], payload: &mut [u8]) {
    for (byte, key) in payload.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= key;
    }
}

fn push_head(out: &mut Vec<u8>, opcode: u8, length: usize, masked: u8) {
    out.push(0x80 | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..=125), _) => out.push(masked | short),
        (_, Ok(wide)) => {
            out.push(masked | 0x7e);
            out.extend_from_slice(&wide.to_be_bytes());
        }
        _ => {
            out.push(masked | 0x7f);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}
