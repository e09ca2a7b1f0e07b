//! A link: one Engine.IO session, under the connections (one for each namespace) that share it.

use std::{
    iter,
    net::IpAddr,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use dashmap::DashMap;
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;
use socketioxide::socket::Sid;
use tokio::sync::Notify;

use super::{
    engine::PollingSession,
    hub::{Hub, Item},
    lane::Lane,
    polls::Polls,
    seats::Member,
    watch::Carrier,
};
use crate::{
    event::Namespace,
    limits::{AddressPermit, Admission, Allowance, PacketLimit},
};

/// Polling sessions by the engine's id, which must never be shown.
pub(super) type LinksBySid = DashMap<Sid, Weak<Link>>;

/// Has a link found by the engine's id of it, as long as this is there.
pub(super) struct LinkEntry {
    sid: Sid,
    links: Arc<LinksBySid>,
}

impl LinkEntry {
    pub(super) fn by(sid: Sid, links: &Arc<LinksBySid>, link: &Arc<Link>) -> Self {
        links.insert(sid, Arc::downgrade(link));
        Self { sid, links: links.clone() }
    }
}

impl Drop for LinkEntry {
    fn drop(&mut self) {
        self.links.remove(&self.sid);
    }
}

/// What is known of a client before it connects.
#[derive(Clone, Copy)]
pub(super) struct Client {
    /// It speaks Engine.IO 3 (socket.io-client 2.x).
    pub(super) v3: bool,
    /// It bears one more argument at the end of an event.
    pub(super) recovers: bool,
}

/// One Engine.IO session.
pub(super) struct Link {
    /// The client's address, as far as proxies are trusted.
    pub(super) address: IpAddr,
    client: Client,
    /// The shard of the hub that every connection of this link belongs to.
    shard: u16,
    /// What it has used up of packets that are no event within its rate.
    allowance: Allowance,
    rare: OnceLock<Box<Rare>>,
    state: Mutex<State>,
}

/// What a websocket with one connection does without: links are many, and kept small.
#[derive(Default)]
struct Rare {
    token: Option<Box<str>>,
    polling: OnceLock<(PollingSession, LinkEntry)>,
    polls: OnceLock<Arc<Polls>>,
    /// How many connections ask that nothing is read: their queues are long.
    paused_by: AtomicU32,
    resumed: Notify,
    /// The session has been ended: it goes over to no websocket any more.
    closed: AtomicBool,
    /// Its client took less than it was sent.
    slow: AtomicBool,
}

#[derive(Default)]
struct State {
    lane: Option<Arc<Lane>>,
    members: Members,
    /// Counts against the address until somebody has shown who they are.
    admission: Admission,
    /// Counts against the address while the transport lives.
    permit: AddressPermit,
}

impl State {
    fn carrier(&self) -> Carrier {
        if self.lane.is_some() { Carrier::Websocket } else { Carrier::Polling }
    }
}

/// One member, and as many more as there are namespaces.
#[derive(Default)]
struct Members {
    last: Option<Member>,
    earlier: Option<Box<Members>>,
}

impl Members {
    /// From the last one on.
    fn iter(&self) -> impl Iterator<Item = Member> {
        let all = iter::successors(Some(self), |this| this.earlier.as_deref());
        all.filter_map(|this| this.last)
    }

    fn add(&mut self, member: Member) {
        let earlier = std::mem::take(self);
        let earlier = earlier.last.is_some().then(|| Box::new(earlier));
        *self = Self { last: Some(member), earlier };
    }

    fn remove(&mut self, member: Member) {
        let mut others: SmallVec<[Member; 3]> = self.iter().filter(|one| *one != member).collect();
        *self = Self::default();
        while let Some(other) = others.pop() {
            self.add(other);
        }
    }
}

impl Link {
    pub(super) fn new(
        address: IpAddr,
        shard: usize,
        token: Option<Box<str>>,
        client: Client,
        (permit, admission): (AddressPermit, Admission),
    ) -> Arc<Self> {
        Arc::new(Self {
            address,
            client,
            // There are as many as cores, or as few as somebody wrote down.
            shard: u16::try_from(shard).unwrap_or(0),
            allowance: Allowance::default(),
            rare: token.map_or_else(OnceLock::new, |token| {
                Box::new(Rare { token: Some(token), ..Rare::default() }).into()
            }),
            state: Mutex::new(State { admission, permit, ..State::default() }),
        })
    }

    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    /// The token that came with the request, in a header or a cookie.
    pub(super) fn token(&self) -> Option<&str> {
        self.rare.get()?.token.as_deref()
    }

    /// The shard of the hub that every connection of this link belongs to.
    pub(super) fn shard(&self) -> usize {
        self.shard.into()
    }

    /// Hears so many packets; false when too many were no event within its rate.
    pub(super) fn take_packets(&self, packets: usize, limit: &PacketLimit) -> bool {
        self.allowance.take(packets, limit)
    }

    /// One of them was an event within its rate.
    pub(super) fn give_back_packet(&self) {
        self.allowance.give_back();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Whether the client speaks Engine.IO 3 (socket.io-client 2.x).
    pub(super) fn is_v3(&self) -> bool {
        self.client.v3
    }

    /// Whether it may be told offsets.
    pub(super) fn recovers(&self) -> bool {
        self.client.recovers
    }

    /// The link's websocket, from the start.
    pub(super) fn start_on(&self, lane: Arc<Lane>) {
        self.lock().lane = Some(lane);
    }

    /// The link's polling session, once the engine has named it.
    pub(super) fn set_polling(&self, session: PollingSession, known: LinkEntry) {
        // A session is named once; a second name would be another link's.
        let _ = self.rare().polling.set((session, known));
    }

    /// Somebody has shown who they are: the link no longer counts as a stranger's.
    pub(super) fn admit(&self) {
        self.lock().admission = Admission::default();
    }

    /// A websocket has closed. When it was the one that carries the link, the engine may keep that
    /// for a while, but the address no longer has to answer for it.
    pub(super) fn vacate(&self, closed: &Arc<Lane>) {
        let mut state = self.lock();
        if state.lane.as_ref().is_some_and(|lane| Arc::ptr_eq(lane, closed)) {
            state.admission = Admission::default();
            state.permit = AddressPermit::default();
        }
    }

    /// Adds a member and has it `register` with the hub: with the websocket, when there is one. Under the
    /// lock, so that a change of transport comes to the hub before or after it, not in between. Where it
    /// is the only member, what carries it.
    pub(super) fn register(
        &self,
        member: Member,
        namespace: Namespace,
        register: impl FnOnce(Option<Arc<Lane>>),
    ) -> Option<Carrier> {
        let mut state = self.lock();
        let is_first = state.members.last.is_none();
        state.members.add(member);
        if let Some(lane) = &state.lane {
            lane.begin(namespace);
        }
        register(state.lane.clone());
        is_first.then(|| state.carrier())
    }

    /// A member has gone. Where it was the only one, what carried it.
    pub(super) fn forget(&self, member: Member) -> Option<Carrier> {
        let mut state = self.lock();
        let were_some = state.members.last.is_some();
        state.members.remove(member);
        (were_some && state.members.last.is_none()).then(|| state.carrier())
    }

    /// Those who have not gone.
    pub(super) fn members(&self) -> SmallVec<[Member; 3]> {
        self.lock().members.iter().collect()
    }

    /// The link's websocket, when there is one.
    pub(super) fn lane(&self) -> Option<Arc<Lane>> {
        self.lock().lane.clone()
    }

    /// Whether it is on a websocket: the engine has nothing to say of it any more.
    pub(super) fn is_on_websocket(&self) -> bool {
        self.lock().lane.is_some()
    }

    /// The polling session has come over to a websocket: what is sent from now on goes there. How many
    /// have come over with it; none when it came over to another one before, or is ended.
    pub(super) fn change_over(&self, lane: &Arc<Lane>, hub: &Hub) -> Option<usize> {
        let mut state = self.lock();
        if state.lane.is_some() || self.rare().closed.load(Ordering::Acquire) {
            return None;
        }
        state.lane = Some(lane.clone());
        lane.pause(self.is_paused());
        for member in state.members.iter() {
            hub.push(self.shard(), Item::ChangeOver(member, lane.clone()));
        }
        Some(state.members.iter().count())
    }

    /// What is sent is more than the client of this polling session takes.
    pub(super) fn note_slow(&self) {
        self.rare().slow.store(true, Ordering::Release);
    }

    /// Whether it ends since its client took less than it was sent.
    pub(super) fn was_slow(&self) -> bool {
        let polled = || self.rare.get().is_some_and(|rare| rare.slow.load(Ordering::Acquire));
        self.lane().map_or_else(polled, |lane| lane.was_slow())
    }

    /// It is a polling session, whose polls these are.
    pub(super) fn set_polls(&self, polls: Arc<Polls>) {
        // Set once, before anybody asks for them.
        let _ = self.rare().polls.set(polls);
    }

    /// What waits for its polls, where it is or was a polling session.
    pub(super) fn polls(&self) -> Option<&Arc<Polls>> {
        self.rare.get()?.polls.get()
    }

    fn is_paused(&self) -> bool {
        self.rare.get().is_some_and(|rare| rare.paused_by.load(Ordering::Acquire) > 0)
    }

    /// One more connection asks that what the client sends is not read.
    pub(super) fn pause(&self) {
        let state = self.lock();
        self.rare().paused_by.fetch_add(1, Ordering::AcqRel);
        if let Some(lane) = &state.lane {
            lane.pause(true);
        }
    }

    /// One of them no longer does; the last one lets the reading go on.
    pub(super) fn resume(&self) {
        let state = self.lock();
        if self.rare().paused_by.fetch_sub(1, Ordering::AcqRel) == 1 {
            if let Some(lane) = &state.lane {
                lane.pause(false);
            }
            self.rare().resumed.notify_waiters();
        }
    }

    /// Waits until what the client sends is read again.
    pub(super) async fn resumed(&self) {
        loop {
            let resumed = self.rare().resumed.notified();
            if !self.is_paused() {
                return;
            }
            resumed.await;
        }
    }

    /// The polling session, where there is or was one.
    pub(super) fn polling(&self) -> Option<&PollingSession> {
        self.rare.get()?.polling.get().map(|(session, _)| session)
    }

    /// It is about to end. False when a polling session was that before.
    pub(super) fn begin_to_close(&self) -> bool {
        self.polling().is_none() || self.polls().is_none_or(|polls| polls.close())
    }

    /// Whether it is a polling session that is about to end.
    pub(super) fn is_closing(&self) -> bool {
        self.polling().is_some() && self.polls().is_some_and(|polls| polls.is_closing())
    }

    /// Ends the session, whatever it is carried by.
    pub(super) fn close(&self) {
        let lane = {
            let state = self.lock();
            if let Some(rare) = self.rare.get() {
                rare.closed.store(true, Ordering::Release);
            }
            state.lane.clone()
        };
        if let Some(lane) = lane {
            lane.close(None);
        }
        self.close_polling();
    }

    /// Ends the polling session, if it still is one.
    pub(super) fn close_polling(&self) {
        if let Some(session) = self.polling()
            && !self.polls().is_some_and(|polls| polls.end())
        {
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

    #[test]
    fn members_are_those_who_came_and_have_not_gone() {
        let mut members = Members::default();
        let [one, other, third] = [0, 1, 2].map(|seat| Member::on(seat, 0));
        for member in [one, other, third] {
            members.add(member);
        }
        assert_eq!(members.iter().collect::<Vec<_>>(), [third, other, one]);
        members.remove(other);
        members.remove(other);
        assert_eq!(members.iter().collect::<Vec<_>>(), [third, one]);
        members.remove(third);
        members.remove(one);
        assert_eq!(members.iter().count(), 0);
        assert!(members.earlier.is_none());
    }

    #[tokio::test]
    async fn reading_goes_on_when_the_last_queue_is_short_again() {
        let limits = AddressLimits::new(&Config::for_tests().limits);
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let link = Link::new(
            address,
            0,
            None,
            Client { v3: false, recovers: false },
            limits.admit(address).unwrap(),
        );
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
