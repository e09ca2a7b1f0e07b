//! What a backend answers, read whole before anything is done for it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    error::{AckCode, Code, Error, Result},
    event::Success,
    realtime::{ExternalEvent, events::Done, read_emit},
    rest::json::{self, AnyJson},
    room::Room,
};

/// Emits of one answer, as of one batch over REST.
const MAX_EMITS: usize = 100;

/// Rooms that one answer has joined or left.
const MAX_ROOMS: usize = 1000;

/// The longest that a right is remembered.
const MAX_LIFE: Duration = Duration::from_hours(24 * 400);

/// What is read of an answer.
pub(super) trait Answer: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it.
    fn read(bytes: &[u8]) -> Result<Self>;

    /// What becomes of the question, as one word that stays the same.
    fn outcome(&self) -> &'static str;
}

/// What is to be done for an event.
pub(super) struct EventAnswer {
    pub(super) join: Vec<Room>,
    pub(super) leave: Vec<Room>,
    pub(super) emit: Vec<ExternalEvent>,
    /// The arguments of the acknowledgement, as JSON with commas between; or why not.
    pub(super) ack: Result<Box<str>>,
}

/// Whether somebody may enter a room.
pub(super) enum JoinAnswer {
    /// They may, and for how long that is to be remembered, if it is.
    Allowed(Option<Duration>),
    /// They may not.
    Refused,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEventAnswer {
    ack: Option<Vec<AnyJson>>,
    error: Option<Refusal>,
    #[serde(default, deserialize_with = "json::or_default")]
    emit: Vec<Box<RawValue>>,
    #[serde(default, deserialize_with = "json::or_default")]
    join: Vec<Room>,
    #[serde(default, deserialize_with = "json::or_default")]
    leave: Vec<Room>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    code: AckCode,
    error: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenJoinAnswer {
    allow: bool,
    #[serde(rename = "for")]
    seconds: Option<f64>,
}

impl Answer for EventAnswer {
    fn read(bytes: &[u8]) -> Result<Self> {
        let written: WrittenEventAnswer = json::decode(bytes)?;
        if written.emit.len() > MAX_EMITS {
            return Err(Error::invalid("/emit", format!("has at most {MAX_EMITS} items")));
        }
        for (pointer, rooms) in [("/join", &written.join), ("/leave", &written.leave)] {
            if rooms.len() > MAX_ROOMS {
                return Err(Error::invalid(pointer, format!("has at most {MAX_ROOMS} items")));
            }
        }
        let emit = written.emit.iter().enumerate().map(|(at, emit)| {
            read_emit(emit).map_err(|error| Error::invalid(format!("/emit/{at}"), error.detail()))
        });
        let emit = emit.collect::<Result<_>>()?;
        let ack = match (written.error, written.ack) {
            (Some(Refusal { code, error }), _) => Err(Error::new(Code::from(code), error)),
            (None, Some(ack)) => {
                let arguments: Vec<_> = ack.iter().map(|argument| argument.0.get()).collect();
                Ok(arguments.join(",").into())
            }
            (None, None) => {
                let done = serde_json::to_string(&Done { success: Success });
                done.map(Into::into).map_err(Error::internal)
            }
        };
        Ok(Self { join: written.join, leave: written.leave, emit, ack })
    }

    fn outcome(&self) -> &'static str {
        if self.ack.is_ok() { "answered" } else { "refused" }
    }
}

impl Answer for JoinAnswer {
    fn read(bytes: &[u8]) -> Result<Self> {
        let WrittenJoinAnswer { allow, seconds } = json::decode(bytes)?;
        let life = match seconds.map(Duration::try_from_secs_f64).transpose() {
            Ok(life) => life.filter(|life| !life.is_zero()).map(|life| life.min(MAX_LIFE)),
            Err(_) => return Err(Error::invalid("/for", "is a number of seconds")),
        };
        Ok(if allow { Self::Allowed(life) } else { Self::Refused })
    }

    fn outcome(&self) -> &'static str {
        match self {
            Self::Allowed(_) => "answered",
            Self::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(answer: &str) -> String {
        match EventAnswer::read(answer.as_bytes()).unwrap().ack {
            Ok(arguments) => arguments.into(),
            Err(error) => serde_json::to_string(&error).unwrap(),
        }
    }

    #[test]
    fn the_acknowledgement_has_the_arguments_as_they_are() {
        for (answer, expected) in [
            (r#"{"ack": [1.0, {"b": 2, "a": [ ]}, null]}"#, r#"1.0,{"b": 2, "a": [ ]},null"#),
            (r#"{"ack": []}"#, ""),
            ("{}", r#"{"success":true}"#),
            (r#"{"ack": null, "join": null, "emit": null}"#, r#"{"success":true}"#),
            (
                r#"{"error": {"code": "conflict", "error": "Taken."}, "ack": [1]}"#,
                r#"{"success":false,"error":"Taken.","code":"conflict"}"#,
            ),
        ] {
            assert_eq!(ack(answer), expected, "{answer}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused_whole() {
        let deep = format!(r#"{{"ack": [{}1{}]}}"#, "[".repeat(200), "]".repeat(200));
        let many = format!(r#"{{"join": [{}"b"]}}"#, r#""a","#.repeat(MAX_ROOMS));
        for bad in [
            "",
            "null",
            "[]",
            "<html>",
            r#"{"ack": 1}"#,
            r#"{"acks": [1]}"#,
            r#"{"error": {"code": "taken", "error": "Taken."}}"#,
            r#"{"error": {"code": "conflict"}}"#,
            r#"{"join": ["a room"]}"#,
            r#"{"emit": [{"to": "everyone", "event": "disconnect"}]}"#,
            r#"{"emit": [{"event": "news"}]}"#,
            r#"{"ack": [1]} trailing"#,
            &deep,
            &many,
        ] {
            assert!(EventAnswer::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn of_emits_it_is_told_which_is_none() {
        let answer = r#"{"emit": [{"to": "everyone", "event": "news"}, {"event": "news"}]}"#;
        let error = EventAnswer::read(answer.as_bytes()).err().unwrap();
        assert_eq!(error.fields()[0].pointer, "/emit/1");
    }

    #[test]
    fn a_right_is_remembered_for_as_long_as_is_said() {
        let read = |answer: &str| JoinAnswer::read(answer.as_bytes());
        let life = |answer: &str| match read(answer) {
            Ok(JoinAnswer::Allowed(life)) => life,
            _ => panic!("{answer}"),
        };
        assert_eq!(life(r#"{"allow": true}"#), None);
        assert_eq!(life(r#"{"allow": true, "for": 0}"#), None);
        assert_eq!(life(r#"{"allow": true, "for": 1.5}"#), Some(Duration::from_millis(1500)));
        assert_eq!(life(r#"{"allow": true, "for": 1e12}"#), Some(MAX_LIFE));
        assert!(matches!(read(r#"{"allow": false, "for": 60}"#), Ok(JoinAnswer::Refused)));
        for bad in [
            "{}",
            r#"{"allow": 1}"#,
            r#"{"allow": true, "for": -1}"#,
            r#"{"allow": true, "room": "a"}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
