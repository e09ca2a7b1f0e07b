//! A client's frames, put together to messages (RFC 6455, section 5). They are read where they lie, and
//! nothing is kept between two messages.

use std::{borrow::Cow, io::Cursor};

use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{CloseCode, Control, Data, OpCode},
};

/// What a client did wrong (RFC 6455, section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A frame that is none.
    Protocol = 1002,
    /// A text that is not UTF-8.
    Text = 1007,
    /// A message that is too long.
    TooLarge = 1009,
}

/// The longest payload of a frame between the frames of a message.
const LONGEST_CONTROL: usize = 125;

/// What a frame is, or makes whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    Text(Cow<'a, str>),
    Binary(Cow<'a, [u8]>),
    Ping(&'a [u8]),
    /// With the status that it says.
    Close(Option<u16>),
    /// Nothing yet, or nothing that is meant for anybody.
    Nothing,
}

/// A frame that was read, and how many bytes it took.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) size: usize,
    pub(super) message: Message<'a>,
}

/// A message whose first frames have come.
struct Fragments {
    is_text: bool,
    bytes: Vec<u8>,
    /// How many of them are whole characters, where it is a text.
    whole: usize,
}

/// Puts the messages of one websocket together.
#[derive(Default)]
pub(super) struct Messages(Option<Box<Fragments>>);

impl Messages {
    /// Reads the frame at the start of `bytes`, and takes its mask off there; none while it is not all
    /// there. A message may have up to `most` bytes.
    pub(super) fn read<'a>(
        &mut self,
        bytes: &'a mut [u8],
        most: usize,
    ) -> Result<Option<Frame<'a>>, Fault> {
        let mut cursor = Cursor::new(&*bytes);
        let header = FrameHeader::parse(&mut cursor).map_err(|_| Fault::Protocol)?;
        let Some((header, length)) = header else { return Ok(None) };
        let start = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let mask = self.check(&header, length, most)?;
        let size = start.saturating_add(length);
        let Some(payload) = bytes.get_mut(start..size) else { return Ok(None) };
        apply(mask, payload);
        let message = match header.opcode {
            OpCode::Control(Control::Ping) => Message::Ping(payload),
            OpCode::Control(Control::Close) => Message::Close(status(payload)?),
            OpCode::Control(_) => Message::Nothing,
            OpCode::Data(data) => self.data(data, header.is_final, payload)?,
        };
        Ok(Some(Frame { size, message }))
    }

    /// What is wrong with a frame by its header alone; its mask.
    fn check(&self, header: &FrameHeader, length: usize, most: usize) -> Result<[u8; 4], Fault> {
        let FrameHeader { is_final, rsv1, rsv2, rsv3, opcode, mask } = header;
        let before = self.0.as_ref().map(|fragments| fragments.bytes.len());
        let is_sound = !(*rsv1 || *rsv2 || *rsv3)
            && match opcode {
                OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)) => false,
                OpCode::Control(_) => *is_final && length <= LONGEST_CONTROL,
                OpCode::Data(Data::Continue) => before.is_some(),
                OpCode::Data(_) => before.is_none(),
            };
        let mask = mask.filter(|_| is_sound).ok_or(Fault::Protocol)?;
        let is_data = matches!(opcode, OpCode::Data(_));
        if is_data && length > most.saturating_sub(before.unwrap_or(0)) {
            return Err(Fault::TooLarge);
        }
        Ok(mask)
    }

    fn data<'a>(
        &mut self,
        data: Data,
        is_final: bool,
        payload: &'a [u8],
    ) -> Result<Message<'a>, Fault> {
        if data != Data::Continue && is_final {
            return Ok(match data {
                Data::Text => Message::Text(text(payload)?.into()),
                _ => Message::Binary(payload.into()),
            });
        }
        let fragments = self.0.get_or_insert_with(|| {
            Box::new(Fragments { is_text: data == Data::Text, bytes: Vec::new(), whole: 0 })
        });
        fragments.bytes.extend_from_slice(payload);
        if fragments.is_text {
            fragments.check(is_final)?;
        }
        if !is_final {
            return Ok(Message::Nothing);
        }
        let Some(fragments) = self.0.take() else { return Ok(Message::Nothing) };
        let Fragments { is_text, bytes, .. } = *fragments;
        if !is_text {
            return Ok(Message::Binary(bytes.into()));
        }
        // It was checked with its last frame.
        String::from_utf8(bytes).map(|text| Message::Text(text.into())).map_err(|_| Fault::Text)
    }
}

impl Fragments {
    /// Whether it is still UTF-8: a character may be cut at the end, unless that `is_final`.
    fn check(&mut self, is_final: bool) -> Result<(), Fault> {
        match std::str::from_utf8(&self.bytes[self.whole..]) {
            Ok(_) => self.whole = self.bytes.len(),
            Err(error) if error.error_len().is_none() && !is_final => {
                self.whole += error.valid_up_to();
            }
            Err(_) => return Err(Fault::Text),
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::Text)
}

/// The status of a close frame (RFC 6455, section 7.4).
fn status(payload: &[u8]) -> Result<Option<u16>, Fault> {
    match payload {
        [] => Ok(None),
        [high, low, reason @ ..] => {
            let status = u16::from_be_bytes([*high, *low]);
            if !CloseCode::from(status).is_allowed() {
                return Err(Fault::Protocol);
            }
            text(reason)?;
            Ok(Some(status))
        }
        [_] => Err(Fault::Protocol),
    }
}

/// Takes a mask off (RFC 6455, section 5.3).
fn apply(mask: [u8; 4], payload: &mut [u8]) {
    let word = u32::from_ne_bytes(mask);
    let (words, rest) = payload.as_chunks_mut::<4>();
    for bytes in words {
        *bytes = (u32::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [1, 20, 130, 77];

    /// A masked frame.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(short @ 0..126), _) => frame.push(0x80 | short),
            (_, Ok(medium)) => {
                frame.push(0x80 | 0x7e);
                frame.extend(medium.to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 0x7f);
                frame.extend((payload.len() as u64).to_be_bytes());
            }
        }
        frame.extend(MASK);
        let start = frame.len();
        frame.extend(payload);
        apply(MASK, &mut frame[start..]);
        frame
    }

    fn text_frame(text: &[u8]) -> Vec<u8> {
        frame(0x81, text)
    }

    /// The messages of frames whose bytes come in pieces, up to what is wrong.
    fn read(stream: &[u8], cut: usize) -> (Vec<String>, Option<Fault>) {
        let (mut messages, mut rest, mut read) = (Messages::default(), Vec::new(), Vec::new());
        for piece in stream.chunks(cut) {
            rest.extend_from_slice(piece);
            loop {
                let frame = match messages.read(&mut rest, 100_000) {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(fault) => return (read, Some(fault)),
                };
                let size = frame.size;
                if frame.message != Message::Nothing {
                    read.push(format!("{:?}", frame.message));
                }
                rest.drain(..size);
            }
        }
        (read, None)
    }

    #[test]
    fn messages_are_whole_however_their_bytes_are_cut() {
        let sizes = [0, 1, 125, 126, 1000, 65_535, 65_536, 70_000];
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for size in sizes {
            let text = "x".repeat(size);
            stream.extend(text_frame(text.as_bytes()));
            expected.push(format!("{:?}", Message::Text(text.into())));
        }
        // A ping and a pong between the frames of a text, which cut a character.
        stream.extend([frame(0x01, &[0xc3]), frame(0x89, b"p"), frame(0x8a, b"")].concat());
        stream.extend([frame(0x00, &[]), frame(0x80, &[0xa9])].concat());
        stream
            .extend([frame(0x02, &[0xff]), frame(0x80, &[0xc0]), frame(0x88, &[3, 232])].concat());
        let rest = [
            Message::Ping(b"p"),
            Message::Text("é".into()),
            Message::Binary(vec![0xff, 0xc0].into()),
            Message::Close(Some(1000)),
        ];
        expected.extend(rest.map(|message| format!("{message:?}")));
        for cut in [1, 2, 3, 7, 64, 2048, stream.len()] {
            assert_eq!(read(&stream, cut), (expected.clone(), None), "in pieces of {cut}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_however_its_bytes_are_cut() {
        let opened = |mut frame: Vec<u8>| {
            frame[0] &= 0x7f;
            frame
        };
        for (fault, bytes) in [
            (Fault::Text, text_frame(&[0xc0, 0x80])),
            (Fault::Text, text_frame(&[0xed, 0xa0, 0x80])),
            (Fault::Text, text_frame(&[0xf4, 0x90, 0x80, 0x80])),
            (Fault::Text, text_frame(&[b'a', 0xe2, 0x82])),
            (Fault::Text, [opened(text_frame(&[0xc3])), frame(0x80, b"a")].concat()),
            (Fault::Text, [opened(text_frame(&[0xc3])), frame(0x80, b"")].concat()),
            (Fault::Text, opened(text_frame(&[0xff]))),
            (Fault::Text, frame(0x88, &[3, 232, 0xff])),
            (Fault::Protocol, vec![0x81, 1, b'a']),
            (Fault::Protocol, frame(0xc1, b"a")),
            (Fault::Protocol, frame(0x83, b"a")),
            (Fault::Protocol, frame(0x8b, b"a")),
            (Fault::Protocol, frame(0x80, b"a")),
            (Fault::Protocol, [opened(text_frame(b"a")), text_frame(b"a")].concat()),
            (Fault::Protocol, opened(frame(0x89, b"a"))),
            (Fault::Protocol, frame(0x89, &[0; 126])),
            (Fault::Protocol, frame(0x88, &[3])),
            (Fault::Protocol, frame(0x88, &[3, 237])),
            (Fault::TooLarge, text_frame(&vec![b'a'; 100_001])),
            (
                Fault::TooLarge,
                [opened(text_frame(&vec![b'a'; 60_000])), frame(0x80, &vec![b'a'; 40_001])]
                    .concat(),
            ),
            (Fault::TooLarge, [&[0x81, 0xff][..], &[0x7f; 12]].concat()),
        ] {
            for cut in [1, 2, 3, 7, bytes.len()] {
                assert_eq!(
                    read(&bytes, cut).1,
                    Some(fault),
                    "{:?}… in pieces of {cut}",
                    &bytes[..2]
                );
            }
        }
    }
}
