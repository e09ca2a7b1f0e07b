//! Messages of one side of a websocket, read from its bytes (RFC 6455), unpacked where the sides have
//! agreed to pack them (permessage-deflate, RFC 7692).

use std::io::Cursor;

use flate2::{Decompress, FlushDecompress, Status};
use http::{HeaderMap, header::SEC_WEBSOCKET_EXTENSIONS};
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Data, OpCode},
};

use super::{copies::Side, exchange::Unreadable};

/// The longest message that is read; what is longer is passed over.
const LONGEST_MESSAGE: usize = 4 * 1024 * 1024;

/// A header with its mask.
const LONGEST_HEADER: usize = 14;

/// What a packed message has left out at its end (RFC 7692, section 7.2.2).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// How messages are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packing {
    /// Each message on its own, for the client's and the server's.
    no_context: [bool; 2],
}

/// A message that is whole.
pub(super) struct Message {
    pub(super) is_text: bool,
    /// None when it is too long.
    pub(super) data: Option<Vec<u8>>,
}

/// What one side says.
#[derive(Default)]
pub(super) struct Messages {
    header: Vec<u8>,
    frame: Option<Frame>,
    message: Option<Begun>,
    packed: Option<Packed>,
}

struct Frame {
    header: FrameHeader,
    left: u64,
    /// The place in the mask.
    at: usize,
}

/// A message whose last frame has not come.
struct Begun {
    is_text: bool,
    is_packed: bool,
    data: Option<Vec<u8>>,
}

/// What is needed to unpack.
struct Packed {
    state: Decompress,
    no_context: bool,
}

impl Packing {
    /// What the server's answer agrees to; none where nothing is packed.
    ///
    /// # Errors
    /// [`Unreadable`] where it agrees to something else.
    pub(super) fn agreed(answer: &HeaderMap) -> Result<Option<Self>, Unreadable> {
        let Some(extensions) = answer.get(SEC_WEBSOCKET_EXTENSIONS) else { return Ok(None) };
        let extensions = extensions.to_str().map_err(|_| Unreadable)?;
        let mut terms = extensions.split(';').map(str::trim);
        if terms.next() != Some("permessage-deflate") || extensions.contains(',') {
            return Err(Unreadable);
        }
        let terms: Vec<_> = terms.collect();
        let no_context = ["client_no_context_takeover", "server_no_context_takeover"];
        Ok(Some(Self { no_context: no_context.map(|term| terms.contains(&term)) }))
    }
}

impl Messages {
    pub(super) fn of(side: Side, packing: Option<Packing>) -> Self {
        let packed = packing.map(|packing| Packed {
            state: Decompress::new(false),
            no_context: packing.no_context[side as usize],
        });
        Self { packed, ..Self::default() }
    }

    /// Reads what the side says.
    ///
    /// # Errors
    /// [`Unreadable`] where it is no websocket, or in a way that nobody here knows.
    pub(super) fn read(
        &mut self,
        mut bytes: &[u8],
        tell: &mut impl FnMut(Message),
    ) -> Result<(), Unreadable> {
        loop {
            if self.frame.is_none() && !self.header(&mut bytes)? {
                return Ok(());
            }
            let Some(frame) = &mut self.frame else { return Ok(()) };
            let here = usize::try_from(frame.left).unwrap_or(usize::MAX).min(bytes.len());
            let (payload, rest) = bytes.split_at(here);
            bytes = rest;
            frame.left -= here as u64;
            if let (OpCode::Data(_), Some(message)) = (frame.header.opcode, &mut self.message) {
                message.take(payload, frame);
            }
            if frame.left > 0 {
                return Ok(());
            }
            let ends = frame.header.is_final && matches!(frame.header.opcode, OpCode::Data(_));
            self.frame = None;
            if ends && let Some(message) = self.message.take() {
                tell(self.whole(message)?);
            }
        }
    }

    /// Reads the header of the next frame; whether it is whole.
    fn header(&mut self, bytes: &mut &[u8]) -> Result<bool, Unreadable> {
        let before = self.header.len();
        let here = bytes.len().min(LONGEST_HEADER - before);
        self.header.extend_from_slice(&bytes[..here]);
        let mut cursor = Cursor::new(&self.header);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|_| Unreadable)?
        else {
            *bytes = &bytes[here..];
            return Ok(false);
        };
        let used = usize::try_from(cursor.position()).map_err(|_| Unreadable)?;
        *bytes = &bytes[used - before..];
        self.header.clear();
        if let OpCode::Data(kind) = header.opcode {
            self.begin(kind, header.rsv1)?;
        }
        self.frame = Some(Frame { header, left: length, at: 0 });
        Ok(true)
    }

    /// A frame of data begins: of a new message, or of the one that has begun.
    fn begin(&mut self, kind: Data, is_packed: bool) -> Result<(), Unreadable> {
        match (kind, &self.message) {
            (Data::Continue, Some(_)) => Ok(()),
            (Data::Text | Data::Binary, None) if self.packed.is_some() || !is_packed => {
                let (is_text, data) = (kind == Data::Text, Some(Vec::new()));
                self.message = Some(Begun { is_text, is_packed, data });
                Ok(())
            }
            _ => Err(Unreadable),
        }
    }

    fn whole(&mut self, message: Begun) -> Result<Message, Unreadable> {
        let Begun { is_text, is_packed, data } = message;
        let data = match (&mut self.packed, data) {
            (Some(packed), Some(data)) if is_packed => packed.unpack(data)?,
            // What comes after is packed by what nobody has read.
            (Some(packed), None) if is_packed && !packed.no_context => return Err(Unreadable),
            (_, data) => data,
        };
        Ok(Message { is_text, data })
    }
}

impl Begun {
    fn take(&mut self, payload: &[u8], frame: &mut Frame) {
        let Some(data) = &mut self.data else { return };
        if data.len() + payload.len() > LONGEST_MESSAGE {
            self.data = None;
            return;
        }
        let Some(mask) = frame.header.mask else {
            data.extend_from_slice(payload);
            return;
        };
        let mask = mask.iter().cycle().skip(frame.at % mask.len());
        data.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        frame.at = frame.at.wrapping_add(payload.len());
    }
}

impl Packed {
    /// A message as it was before it was packed; none when that is too long.
    fn unpack(&mut self, mut data: Vec<u8>) -> Result<Option<Vec<u8>>, Unreadable> {
        data.extend_from_slice(&TAIL);
        let mut whole = Vec::with_capacity(data.len().saturating_mul(4).min(LONGEST_MESSAGE));
        let mut rest = &data[..];
        while !rest.is_empty() {
            if whole.len() == whole.capacity() {
                whole.reserve(4096);
            }
            // The last byte stays behind until all that the others say is told: a call without a byte
            // that has nothing to tell spoils the state.
            let part = &rest[..(rest.len() - 1).max(1)];
            let (before, length) = (self.state.total_in(), whole.len());
            let status = self
                .state
                .decompress_vec(part, &mut whole, FlushDecompress::Sync)
                .map_err(|_| Unreadable)?;
            let used = usize::try_from(self.state.total_in() - before).map_err(|_| Unreadable)?;
            rest = &rest[used..];
            if whole.len() > LONGEST_MESSAGE {
                if self.no_context {
                    self.state.reset(false);
                    return Ok(None);
                }
                return Err(Unreadable);
            }
            // The last block may say that it is the last one (RFC 7692, section 7.2.3.4).
            if status == Status::StreamEnd {
                self.state.reset(false);
                return Ok(Some(whole));
            }
            if used == 0 && whole.len() == length {
                return Err(Unreadable);
            }
        }
        if self.no_context {
            self.state.reset(false);
        }
        Ok(Some(whole))
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use flate2::{Compress, Compression, FlushCompress};
    use http::HeaderValue;

    use super::*;

    /// A frame with a mask of its own.
    fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let masked = if mask.is_some() { 0x80 } else { 0 };
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..=125 => frame.push(masked | u8::try_from(short).unwrap()),
            medium @ 126..=0xffff => {
                frame.push(masked | 0x7e);
                frame.extend(u16::try_from(medium).unwrap().to_be_bytes());
            }
            long => {
                frame.push(masked | 0x7f);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend(mask.iter().flatten());
        let mask = mask.unwrap_or_default();
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn packing(extensions: &'static str) -> Result<Option<Packing>, Unreadable> {
        let value = HeaderValue::from_static(extensions);
        Packing::agreed(&HeaderMap::from_iter([(SEC_WEBSOCKET_EXTENSIONS, value)]))
    }

    /// The messages in these bytes, given in pieces of this length.
    fn read(
        messages: &mut Messages,
        bytes: &[u8],
        piece: usize,
    ) -> Result<Vec<String>, Unreadable> {
        let mut seen = Vec::new();
        for bytes in bytes.chunks(piece) {
            messages.read(bytes, &mut |message| {
                let data = message
                    .data
                    .map_or("too long".into(), |data| String::from_utf8_lossy(&data).into_owned());
                seen.push(if message.is_text { data } else { format!("binary {data}") });
            })?;
        }
        Ok(seen)
    }

    /// What a sender makes of texts, with what it remembers between them.
    fn pack(texts: &[&str], remembers: bool, mask: Option<[u8; 4]>) -> Vec<u8> {
        let mut compress = Compress::new(Compression::default(), false);
        let frames = texts.iter().flat_map(|text| {
            let mut packed = Vec::with_capacity(text.len() + 1024);
            compress.compress_vec(text.as_bytes(), &mut packed, FlushCompress::Sync).unwrap();
            if !remembers {
                compress.reset();
            }
            assert!(packed.ends_with(&TAIL));
            packed.truncate(packed.len() - TAIL.len());
            frame(0xc1, &packed, mask)
        });
        frames.collect()
    }

    const MASK: Option<[u8; 4]> = Some([1, 0xff, 3, 200]);

    #[test]
    fn messages_come_out_however_their_bytes_and_frames_are_cut() {
        let long = "é".repeat(40_000);
        let bytes = [
            frame(0x81, b"one", MASK),
            frame(0x89, b"ping", MASK),
            frame(0x01, b"t", MASK),
            frame(0x00, b"w", Some([9; 4])),
            frame(0x8a, b"", MASK),
            frame(0x80, b"o", None),
            frame(0x82, &[b'3'; 200], MASK),
            frame(0x81, long.as_bytes(), MASK),
            frame(0x81, b"", None),
            frame(0x88, &[3, 232], MASK),
        ]
        .concat();
        let binary = format!("binary {}", "3".repeat(200));
        for piece in [1, 2, 3, 5, 14, 15, 1000, bytes.len()] {
            let seen = read(&mut Messages::of(Side::Client, None), &bytes, piece).unwrap();
            assert_eq!(seen, ["one", "two", &binary, &long, ""], "in pieces of {piece}");
        }
    }

    #[test]
    fn packed_messages_are_unpacked_with_and_without_what_came_before() {
        let long = "the same words again ".repeat(5_000);
        let texts = ["42[\"a\",{\"b\":1}]", "42[\"a\",{\"b\":1}]", &long, "42[\"a\",{\"b\":1}]"];
        for (side, mask) in [(Side::Client, MASK), (Side::Server, None)] {
            for (terms, remembers) in [
                ("permessage-deflate", true),
                ("permessage-deflate; client_max_window_bits=15", true),
                (
                    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                    false,
                ),
            ] {
                let bytes = pack(&texts, remembers, mask);
                for piece in [1, 7, bytes.len()] {
                    let mut messages = Messages::of(side, packing(terms).unwrap());
                    assert_eq!(read(&mut messages, &bytes, piece).unwrap(), texts, "{terms}");
                }
            }
        }
        // Some are packed, and some that are short are not, within one connection.
        let bytes = [pack(&texts[..1], true, None), frame(0x81, b"3", None)].concat();
        let mut messages = Messages::of(Side::Server, packing("permessage-deflate").unwrap());
        assert_eq!(read(&mut messages, &bytes, 4).unwrap(), [texts[0], "3"]);
    }

    #[test]
    fn a_packed_message_in_several_frames_is_one() {
        let whole = pack(&["some text"], true, None);
        let payload = &whole[2..];
        let bytes = [frame(0x41, &payload[..3], None), frame(0x80, &payload[3..], None)].concat();
        let mut messages = Messages::of(Side::Server, packing("permessage-deflate").unwrap());
        assert_eq!(read(&mut messages, &bytes, 1).unwrap(), ["some text"]);
    }

    #[test]
    fn what_is_too_long_is_passed_over_and_the_rest_is_read() {
        let payload = vec![b'x'; LONGEST_MESSAGE + 1];
        let bytes = [frame(0x81, &payload, MASK), frame(0x81, b"next", MASK)].concat();
        let mut messages = Messages::of(Side::Client, None);
        assert_eq!(read(&mut messages, &bytes, 16_384).unwrap(), ["too long", "next"]);
        // So is what is only long once it is unpacked; where that has to be remembered, it ends there.
        let long = "x".repeat(LONGEST_MESSAGE + 1);
        for (remembers, terms) in [
            (false, "permessage-deflate; server_no_context_takeover"),
            (true, "permessage-deflate"),
        ] {
            let bytes = pack(&[&long, "next"], remembers, None);
            let mut messages = Messages::of(Side::Server, packing(terms).unwrap());
            let seen = read(&mut messages, &bytes, bytes.len());
            let expected = ["too long", "next"].map(str::to_owned).to_vec();
            assert_eq!(seen, if remembers { Err(Unreadable) } else { Ok(expected) });
        }
    }

    #[test]
    fn what_is_no_websocket_is_not_read() {
        for bytes in [
            frame(0x83, b"a reserved kind", None),
            frame(0x80, b"a continuation of nothing", None),
            frame(0xc1, b"packed, which nobody agreed to", None),
            [frame(0x01, b"begun", None), frame(0x81, b"again", None)].concat(),
        ] {
            let mut messages = Messages::of(Side::Server, None);
            assert_eq!(read(&mut messages, &bytes, 3), Err(Unreadable));
        }
        for extensions in ["x-webkit-deflate-frame", "permessage-deflate, other"] {
            assert_eq!(packing(extensions), Err(Unreadable));
        }
        assert_eq!(Packing::agreed(&HeaderMap::new()), Ok(None));
        let noise: Vec<u8> = iter::repeat_n(frame(0xc1, &[0xff; 9], None), 2).flatten().collect();
        let mut messages = Messages::of(Side::Server, packing("permessage-deflate").unwrap());
        assert_eq!(read(&mut messages, &noise, 100), Err(Unreadable));
    }
}
