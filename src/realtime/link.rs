//! A link: one Engine.IO session, under the connections (one for each namespace) that share it.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
};

use smallvec::SmallVec;
use socketioxide::socket::Socket;
use tokio::sync::Notify;

use super::{connection::Connection, lane::Lane, wire::PollingSession};
use crate::limits::{Admission, Place};

/// One Engine.IO session.
pub(super) struct Link {
    /// The client's address, as far as proxies are trusted.
    pub(super) address: IpAddr,
    /// The shard of the hub that every connection of this link belongs to.
    pub(super) shard: usize,
    /// The token that came with the request, in a header or a cookie.
    pub(super) token: Option<Box<str>>,
    v3: bool,
    polling: OnceLock<PollingSession>,
    state: Mutex<State>,
    resumed: Notify,
}

#[derive(Default)]
struct State {
    lane: Option<Arc<Lane>>,
    connections: SmallVec<[Weak<Connection>; 1]>,
    /// Counts against the address until somebody has shown who they are.
    admission: Option<Admission>,
    /// Counts against the address while the transport lives.
    place: Option<Place>,
    /// How many connections ask that nothing is read: their queues are long.
    paused_by: usize,
}

impl Link {
    pub(super) fn new(
        address: IpAddr,
        shard: usize,
        token: Option<Box<str>>,
        v3: bool,
        (place, admission): (Place, Admission),
    ) -> Arc<Self> {
        Arc::new(Self {
            address,
            shard,
            token,
            v3,
            polling: OnceLock::new(),
            state: Mutex::new(State {
                admission: Some(admission),
                place: Some(place),
                ..State::default()
            }),
            resumed: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the client speaks Engine.IO 3 (socket.io-client 2.x).
    pub(super) fn is_v3(&self) -> bool {
        self.v3
    }

    /// The link's websocket, from the start.
    pub(super) fn start_on(&self, lane: Arc<Lane>) {
        self.lock().lane = Some(lane);
    }

    /// The link's polling session, known once the engine has named it.
    pub(super) fn set_polling(&self, session: PollingSession) {
        // A session is named once; a second name would be another link's.
        let _ = self.polling.set(session);
    }

    /// Somebody has shown who they are: the link no longer counts as a stranger's.
    pub(super) fn admit(&self) {
        self.lock().admission = None;
    }

    /// A websocket has closed. When it was the one that carries the link, the engine may keep that
    /// for a while, but the address no longer has to answer for it.
    pub(super) fn vacate(&self, closed: &Arc<Lane>) {
        let mut state = self.lock();
        if state.lane.as_ref().is_some_and(|lane| Arc::ptr_eq(lane, closed)) {
            state.admission = None;
            state.place = None;
        }
    }

    /// Adds a connection and has it `enter` the hub: with the websocket, when there is one, whose
    /// frames for this namespace wait from now on for the connection's CONNECT. Under the lock, so
    /// that a change of transport comes to the hub before or after it, not in between.
    pub(super) fn register(
        &self,
        connection: &Arc<Connection>,
        enter: impl FnOnce(Option<Arc<Lane>>),
    ) {
        let mut state = self.lock();
        state.connections.retain(|other| other.strong_count() > 0);
        state.connections.push(Arc::downgrade(connection));
        if let Some(lane) = &state.lane {
            lane.hold(connection.namespace());
        }
        enter(state.lane.clone());
    }

    /// The connection of one of the engine's sockets.
    pub(super) fn connection(&self, engine: &Arc<Socket>) -> Option<Arc<Connection>> {
        let state = self.lock();
        let mut connections = state.connections.iter().filter_map(Weak::upgrade);
        connections.find(|connection| connection.engine.as_ptr() == Arc::as_ptr(engine))
    }

    /// The polling session has come over to a websocket: what is sent from now on goes there,
    /// after what the engine still has. False when it came over to another one before.
    pub(super) fn change_over(&self, lane: &Arc<Lane>) -> bool {
        let mut state = self.lock();
        if state.lane.is_some() {
            return false;
        }
        state.lane = Some(lane.clone());
        lane.pause(state.paused_by > 0);
        for connection in state.connections.iter().filter_map(Weak::upgrade) {
            connection.change_over(lane.clone());
        }
        true
    }

    /// The engine has handed something to the client, so it may have room again.
    pub(super) fn pump(&self) {
        for connection in self.lock().connections.iter().filter_map(Weak::upgrade) {
            connection.pump();
        }
    }

    /// One more connection asks that what the client sends is not read.
    pub(super) fn pause(&self) {
        let mut state = self.lock();
        state.paused_by += 1;
        if let Some(lane) = &state.lane {
            lane.pause(true);
        }
    }

    /// One of them no longer does; the last one lets the reading go on.
    pub(super) fn resume(&self) {
        let mut state = self.lock();
        state.paused_by -= 1;
        if state.paused_by == 0 {
            if let Some(lane) = &state.lane {
                lane.pause(false);
            }
            self.resumed.notify_waiters();
        }
    }

    /// Waits until what the client sends is read again.
    pub(super) async fn resumed(&self) {
        loop {
            let resumed = self.resumed.notified();
            if self.lock().paused_by == 0 {
                return;
            }
            resumed.await;
        }
    }

    /// The polling session, where there is one.
    pub(super) fn polling(&self) -> Option<&PollingSession> {
        self.polling.get()
    }

    /// Ends the session, whatever it is carried by.
    pub(super) fn close(&self) {
        let lane = self.lock().lane.clone();
        if let Some(lane) = lane {
            lane.close(None);
        }
        self.close_polling();
    }

    /// Ends the polling session, if it still is one.
    pub(super) fn close_polling(&self) {
        if let Some(session) = self.polling.get() {
            session.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, pin::pin};

    use futures_util::FutureExt;

    use super::*;
    use crate::{config::Config, limits::AddressLimits};

    #[tokio::test]
    async fn reading_goes_on_when_the_last_queue_is_short_again() {
        let limits = AddressLimits::new(&Config::for_tests().limits);
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let link = Link::new(address, 0, None, false, limits.admit(address).unwrap());
        assert!(link.resumed().now_or_never().is_some());
        link.pause();
        link.pause();
        let mut resumed = pin!(link.resumed());
        assert!(resumed.as_mut().now_or_never().is_none());
        link.resume();
        assert!(resumed.as_mut().now_or_never().is_none());
        link.resume();
        assert!(resumed.as_mut().now_or_never().is_some());
    }
}
