//! What a request to `/socket.io/` asks for, by its query.

use socketioxide::socket::Sid;

use super::refusal::{UNKNOWN_SESSION, UNKNOWN_TRANSPORT, UNSUPPORTED_VERSION};
use crate::error::{Code, Error, Result};

/// What a Socket.IO request asks for (Engine.IO protocol, "HTTP long-polling" and "WebSocket").
pub(super) struct Query {
    /// The version of a new session.
    pub(super) v3: bool,
    pub(super) sid: Option<Sid>,
    pub(super) websocket: bool,
}

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Result<Self> {
        let bad = |detail| Error::new(Code::Malformed, detail);
        let (mut version, mut transport, mut sid) = (None, None, None);
        for (name, value) in query.unwrap_or_default().split('&').filter_map(|p| p.split_once('='))
        {
            match name {
                "EIO" => version = Some(value),
                "transport" => transport = Some(value),
                "sid" => sid = Some(value).filter(|sid| !sid.is_empty()),
                _ => {}
            }
        }
        // In the order of Node's server, so that the first fault is the one that is told.
        let websocket = match transport {
            Some("websocket") => true,
            Some("polling") => false,
            _ => return Err(bad(UNKNOWN_TRANSPORT)),
        };
        let sid = sid.map(|sid| sid.parse().map_err(|_| bad(UNKNOWN_SESSION))).transpose()?;
        let v3 = match version {
            Some("3") => true,
            Some("4") => false,
            // A session has the version it was opened with.
            _ if sid.is_some() => false,
            _ => return Err(bad(UNSUPPORTED_VERSION)),
        };
        Ok(Self { v3, sid, websocket })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_version_transport_and_session() {
        let parse = |query| Query::parse(Some(query));
        let query = parse("EIO=4&transport=websocket&t=x").unwrap();
        assert!(query.websocket && !query.v3 && query.sid.is_none());
        assert!(parse("transport=polling&EIO=3").unwrap().v3);
        for bad in [
            "",
            "EIO=4",
            "EIO=2&transport=polling",
            "EIO=4&transport=x",
            "EIO=4&transport=polling&sid=x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("EIO=4&transport=polling&sid=").unwrap().sid.is_none());
    }
}
