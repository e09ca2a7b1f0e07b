//! Names in clients' packets as the engine takes them. It closes a connection over an event's name that
//! is not a plain JSON string (a number, or one with an escape in it), and Node's server reads those:
//! they get an empty name before them on the way to the engine, which `inbound` passes over. Clients of
//! 2.x put their query behind a namespace's name, where the engine would take it for a part of it.

use std::borrow::Cow;

/// What goes before the name.
pub(super) const EMPTY: &str = "\"\",";

/// How much of a packet may come before its arguments: a namespace, an id, a count of attachments.
pub(super) const LONGEST_START: usize = 96;

/// What the beginning of a packet says of its event's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// The engine reads it, or is to refuse it as Node does; or it is no event at all.
    Plain,
    /// An empty name is to go in at this byte.
    Odd(usize),
    /// More of the packet has to be seen.
    Unknown,
}

/// Looks at the beginning of an Engine.IO message, or at the `whole` of it (Socket.IO protocol v5,
/// "Packet encoding").
pub(super) fn naming(packet: &[u8], whole: bool) -> Naming {
    let is_all = whole || packet.len() >= LONGEST_START;
    let at = match arguments(packet) {
        Ok(Some(at)) => at,
        Ok(None) => return Naming::Plain,
        Err(More) if is_all => return Naming::Plain,
        Err(More) => return Naming::Unknown,
    };
    match is_odd(&packet[at..]) {
        Ok(true) => Naming::Odd(at),
        Ok(false) => Naming::Plain,
        // It has no end, so that nobody reads it.
        Err(More) if whole => Naming::Plain,
        // It is long, and may be odd where it is not seen.
        Err(More) if is_all => Naming::Odd(at),
        Err(More) => Naming::Unknown,
    }
}

/// Whether the beginning of a packet, or the `whole` of it, is that of a CONNECT with a query; none
/// when more of it has to be seen.
pub(super) fn has_query(start: &[u8], whole: bool) -> Option<bool> {
    const CONNECT: &[u8] = b"40/";
    if !start.starts_with(&CONNECT[..start.len().min(CONNECT.len())]) {
        return Some(false);
    }
    match start.iter().find(|byte| matches!(byte, b'?' | b',')) {
        Some(found) => Some(*found == b'?'),
        None => (whole || start.len() >= LONGEST_START).then_some(false),
    }
}

/// A CONNECT without the query of its namespace; none for what has none.
pub(super) fn without_query(packet: &str) -> Option<String> {
    if has_query(packet.as_bytes(), true) != Some(true) {
        return None;
    }
    let (path, rest) = packet.split_at(packet.find(',').unwrap_or(packet.len()));
    let (path, _) = path.split_once('?')?;
    Some([path, rest].concat())
}

/// The packet with an empty name before an odd one, and without a namespace's query.
pub(super) fn for_engine(packet: &str) -> Cow<'_, str> {
    if let Some(connect) = without_query(packet) {
        return connect.into();
    }
    match naming(packet.as_bytes(), true) {
        Naming::Odd(at) => [&packet[..at], EMPTY, &packet[at..]].concat().into(),
        Naming::Plain | Naming::Unknown => packet.into(),
    }
}

/// The packet goes on.
struct More;

/// Where an event's arguments begin, after their `[`; none for what is no event.
fn arguments(packet: &[u8]) -> Result<Option<usize>, More> {
    let byte = |at: usize| packet.get(at).copied().ok_or(More);
    let digits = |from: usize| packet[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    if byte(0)? != b'4' {
        return Ok(None);
    }
    let mut at = match byte(1)? {
        b'2' => 2,
        b'5' => {
            let dash = 2 + digits(2);
            if byte(dash)? != b'-' {
                return Ok(None);
            }
            dash + 1
        }
        _ => return Ok(None),
    };
    if byte(at)? == b'/' {
        at += packet[at..].iter().position(|b| *b == b',').ok_or(More)? + 1;
    }
    at += digits(at);
    at += blanks(&packet[at..]);
    Ok((byte(at)? == b'[').then_some(at + 1))
}

/// Whether the first argument is a name that Node reads and the engine does not.
fn is_odd(arguments: &[u8]) -> Result<bool, More> {
    let argument = &arguments[blanks(arguments)..];
    let (first, rest) = argument.split_first().ok_or(More)?;
    Ok(match first {
        b'"' => {
            let end = rest.iter().position(|b| matches!(b, b'"' | b'\\')).ok_or(More)?;
            // An empty one too, so that an empty name always has another behind it.
            end == 0 || rest[end] == b'\\'
        }
        b'-' | b'0'..=b'9' => true,
        _ => false,
    })
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_name_goes_before_one_that_the_engine_does_not_read() {
        for (packet, made) in [
            ("42[1]", r#"42["",1]"#),
            ("42/chat,17[ -1.5,{}]", r#"42/chat,17["", -1.5,{}]"#),
            (r#"42["a\u0062"]"#, r#"42["","a\u0062"]"#),
            (r#"4212["\"",1]"#, r#"4212["","\"",1]"#),
            (r#"42["",1]"#, r#"42["","",1]"#),
            (
                r#"451-/chat,["\n",{"_placeholder":true}]"#,
                r#"451-/chat,["","\n",{"_placeholder":true}]"#,
            ),
        ] {
            assert_eq!(for_engine(packet), made);
        }
    }

    #[test]
    fn a_namespace_is_asked_for_without_the_query() {
        for (packet, made) in [
            ("40/chat?x=1,", "40/chat,"),
            ("40/chat?x=1", "40/chat"),
            ("40/?a=b?c,{}", "40/,{}"),
            ("40/chat,{\"a\":\"?\"}", "40/chat,{\"a\":\"?\"}"),
            ("42/chat?x=1,[\"a\"]", "42/chat?x=1,[\"a\"]"),
        ] {
            assert_eq!(for_engine(packet), made);
        }
    }

    #[test]
    fn everything_else_goes_on_as_it_is() {
        for packet in [
            r#"42["message:send",{"a":"\u0041"}]"#,
            r#"42/chat,7["é"]"#,
            "42[]",
            "42[null]",
            "42[[1]]",
            "42{}",
            "42",
            "42/chat",
            "40{\"token\":\"\\n\"}",
            "437[1]",
            "451[1]",
            "2",
            "3probe",
            "",
        ] {
            assert_eq!(for_engine(packet), packet);
        }
    }

    #[test]
    fn a_beginning_is_enough_as_soon_as_it_shows_the_name() {
        let packet = br#"42/chat,12["a\nb",1]"#;
        for length in 0..packet.len() {
            let expected = if length <= 13 { Naming::Unknown } else { Naming::Odd(11) };
            assert_eq!(naming(&packet[..length], false), expected, "{length}");
        }
        assert_eq!(naming(b"42[\"plain\"", false), Naming::Plain);
        assert_eq!(naming(b"42[\"plain", true), Naming::Plain);
        let long = [&b"42[\""[..], &[b'x'; LONGEST_START]].concat();
        assert_eq!(naming(&long, false), Naming::Odd(3));
        let endless = [&b"42/"[..], &[b'x'; LONGEST_START]].concat();
        assert_eq!(naming(&endless, false), Naming::Plain);
    }
}
