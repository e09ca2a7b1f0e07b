//! What a client says of itself when it connects.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    auth::{TokenError, given_token},
    db::Reach,
    realtime::recovery::Pid,
    text::well_formed,
};

/// What a client says of itself.
#[derive(Default)]
pub(super) struct Said {
    pub(super) token: Option<String>,
    /// The session that it had.
    pub(super) pid: Option<Pid>,
    /// How far it had come in it.
    pub(super) offset: Option<Reach>,
}

impl Said {
    pub(super) fn read(auth: Option<&str>) -> Result<Self, TokenError> {
        #[derive(Deserialize)]
        struct Auth {
            token: Option<Value>,
            pid: Option<Value>,
            offset: Option<Value>,
        }

        let auth = auth.map(|auth| well_formed(auth.as_bytes()));
        let auth = auth.and_then(|auth| serde_json::from_slice::<Auth>(&auth).ok());
        let Some(Auth { token, pid, offset }) = auth else { return Ok(Self::default()) };
        let token = match token {
            None | Some(Value::Null) => None,
            Some(Value::String(token)) => given_token(&token).map(str::to_owned),
            Some(_) => return Err(TokenError::Malformed),
        };
        let pid = pid.as_ref().and_then(Value::as_str).and_then(Pid::read);
        Ok(match offset {
            None | Some(Value::Null) => Self { token, pid, offset: None },
            Some(offset) => match offset.as_str().map(str::parse) {
                Some(Ok(offset)) => Self { token, pid, offset: Some(offset) },
                // How far it had come is not known.
                _ => Self { token, pid: None, offset: None },
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_of_itself_is_read_as_far_as_it_is_clear() {
        let read = |auth: &str| {
            let Said { token, pid, offset } = Said::read(Some(auth)).ok()?;
            Some((token, pid.is_some(), offset.map(|offset| offset.to_string())))
        };
        let pid = "59gpW0_jXUJ4pYBGAAAABA";
        let token = Some("t".to_owned());
        for (auth, said) in [
            ("not json".to_owned(), (None, false, None)),
            (r#"{"token":"t"}"#.to_owned(), (token.clone(), false, None)),
            (format!(r#"{{"pid":"{pid}","token":"t"}}"#), (token, true, None)),
            (
                format!(r#"{{"pid":"{pid}","offset":"4y2-1"}}"#),
                (None, true, Some("4y2-1".to_owned())),
            ),
            (
                format!(r#"{{"pid":"{pid}","offset":"what an event ended in"}}"#),
                (None, false, None),
            ),
            (format!(r#"{{"pid":"{pid}","offset":7}}"#), (None, false, None)),
            (r#"{"pid":7,"offset":"1"}"#.to_owned(), (None, false, Some("1".to_owned()))),
        ] {
            assert_eq!(read(&auth), Some(said), "{auth}");
        }
        assert!(Said::read(Some(r#"{"token":7}"#)).is_err());
    }
}
