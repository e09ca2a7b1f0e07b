//! The heartbeat of a websocket: by an odd beat a ping was sent and not answered.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Lane, Phase};

/// Engine.IO's ping, as a frame.
const PING: Bytes = Bytes::from_static(&[0x81, 1, b'2']);

impl Lane {
    /// Pings the client, when this is still its beat; the next one.
    pub(in crate::realtime) fn ping(self: &Arc<Self>, beat: u32) -> Option<u32> {
        let mut state = self.lock();
        if state.phase != Phase::Open || state.beat != beat {
            return None;
        }
        state.beat = beat.wrapping_add(1);
        self.send_in(&mut state, (&PING).into());
        (state.phase == Phase::Open).then_some(state.beat)
    }

    /// A ping was answered; the next beat. None when nobody asked.
    pub(in crate::realtime) fn pong(&self) -> Option<u32> {
        let mut state = self.lock();
        if state.phase != Phase::Open || state.beat.is_multiple_of(2) {
            return None;
        }
        state.beat = state.beat.wrapping_add(1);
        Some(state.beat)
    }

    /// Whether this is still its beat.
    pub(in crate::realtime) fn is_at(&self, beat: u32) -> bool {
        let state = self.lock();
        state.phase == Phase::Open && state.beat == beat
    }

    /// The client has pinged, at this millisecond.
    pub(in crate::realtime) fn heard(&self, at: u32) {
        self.lock().beat = at;
    }

    /// How long the client has not pinged; none when the lane closes.
    pub(in crate::realtime) fn silent_for(&self, now: u32) -> Option<Duration> {
        let state = self.lock();
        let silence = Duration::from_millis(now.wrapping_sub(state.beat).into());
        (state.phase == Phase::Open).then_some(silence)
    }
}
