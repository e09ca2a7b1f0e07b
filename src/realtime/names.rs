//! Clients' packets as the engine takes them, by polling. It closes a session over an event's name that
//! is not a plain JSON string (a number, or one with an escape in it), and Node's server reads those:
//! they get an empty name before them on the way to the engine, which is taken out again behind it.
//! Clients of 2.x put their query behind a namespace's name, where the engine would take it for a part
//! of it.

use std::borrow::Cow;

use super::packet::{Kind, Message};

/// What goes before the name.
const EMPTY: &str = "\"\",";

/// The packet with an empty name before an odd one, and without a namespace's query.
pub(super) fn for_engine(packet: &str) -> Cow<'_, str> {
    let message = packet.strip_prefix('4').map(Message::read);
    match message {
        Some(Ok(Message { kind: Kind::Event { arguments, .. }, .. })) => {
            let list = arguments.trim_start();
            let (before, arguments) = packet.split_at(packet.len() - list.len() + 1);
            if is_odd(arguments) {
                [before, EMPTY, arguments].concat().into()
            } else {
                packet.into()
            }
        }
        Some(Ok(Message { kind: Kind::Connect(_), .. })) => without_query(packet),
        _ => packet.into(),
    }
}

/// The list of an event's name and arguments as the client sent it.
pub(super) fn as_sent(list: &str) -> Cow<'_, str> {
    let odd = list.trim_start().strip_prefix('[').and_then(|rest| rest.strip_prefix(EMPTY));
    odd.map_or(list.into(), |arguments| ["[", arguments].concat().into())
}

/// A CONNECT without the query of its namespace.
fn without_query(packet: &str) -> Cow<'_, str> {
    let (path, rest) = packet.split_at(packet.find(',').unwrap_or(packet.len()));
    let query = path.split_once('?').filter(|(path, _)| path.starts_with("40/"));
    query.map_or(packet.into(), |(path, _)| [path, rest].concat().into())
}

/// Whether the first argument is a name that Node reads and the engine does not.
fn is_odd(arguments: &str) -> bool {
    let argument = arguments.trim_start();
    match argument.strip_prefix('"') {
        // An empty one too, so that an empty name always has another behind it. One without an end
        // nobody reads.
        Some(name) => {
            name.find(['"', '\\']).is_some_and(|end| end == 0 || name[end..].starts_with('\\'))
        }
        None => argument.starts_with(|first: char| first == '-' || first.is_ascii_digit()),
    }
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
            let list = |packet: &str| packet[packet.find('[').unwrap()..].to_owned();
            assert_eq!(as_sent(&list(made)), list(packet));
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
        assert_eq!(as_sent(r#"["a",""]"#), r#"["a",""]"#);
    }
}
