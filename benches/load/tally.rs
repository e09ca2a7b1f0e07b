//! What a run counts. A publication carries its room and its number: one that is lost, doubled or
//! in the wrong room ends the run; those out of order are counted.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::histogram::Histogram;

/// The most publications of a room that may be under way.
pub const MAX_WINDOW: u32 = 1000;

/// How far a delivery may overtake others.
const EARLY: u32 = 16;

const WINDOW: usize = MAX_WINDOW as usize;
const ROOM_DIGITS: usize = 4;
const NUMBER_DIGITS: usize = 8;
const MARK: usize = ROOM_DIGITS + NUMBER_DIGITS + 3;

/// One client publishes, the members receive.
pub struct Room {
    /// The client that publishes.
    pub publisher: usize,
    /// How many receive.
    pub members: u32,
    /// How many publications went out.
    pub sent: u32,
    /// Up to which of them, this one excluded, all members have all.
    pub done: u32,
    missing: Box<[u32]>,
    sent_at: Box<[Instant]>,
}

impl Room {
    /// A room in which nothing was said.
    pub fn new(publisher: usize, members: u32) -> Self {
        Self {
            publisher,
            members,
            sent: 0,
            done: 0,
            missing: [0; WINDOW].into(),
            sent_at: [Instant::now(); WINDOW].into(),
        }
    }

    /// Takes the number of the next publication.
    pub fn publish(&mut self) -> u32 {
        let number = self.sent;
        self.sent += 1;
        self.missing[number as usize % WINDOW] = self.members;
        self.sent_at[number as usize % WINDOW] = Instant::now();
        number
    }

    fn advance(&mut self) {
        while self.done < self.sent && self.missing[self.done as usize % WINDOW] == 0 {
            self.done += 1;
        }
    }
}

/// What one member has of its room.
#[derive(Default)]
pub struct Inbox {
    /// It has all publications before this one.
    next: u32,
    /// Those it has after it: bit `n` is publication `next + n`.
    early: u32,
}

impl Inbox {
    /// Puts a publication in; whether it was its turn.
    #[inline]
    pub(super) fn put(&mut self, number: u32) -> Result<bool> {
        let ahead = number.checked_sub(self.next);
        let ahead = ahead.filter(|ahead| *ahead < EARLY && self.early >> ahead & 1 == 0);
        let Some(ahead) = ahead else {
            ensure!(number < self.next + EARLY, "publication {number} overtook more than {EARLY}");
            bail!("publication {number} reached a member twice");
        };
        self.early |= 1 << ahead;
        let gapless = self.early.trailing_ones();
        self.early >>= gapless;
        self.next += gapless;
        Ok(ahead == 0)
    }
}

/// What all writers count.
#[derive(Default)]
pub struct Chat {
    /// The ids of the conversations.
    pub conversations: Vec<String>,
    /// How many write in each, one after the other in the order of their users.
    pub people: u32,
    /// How many messages of a writer may be under way; with 0 nobody writes.
    pub(super) window: usize,
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) received: u64,
    pub(super) latency: Histogram,
}

impl Chat {
    /// Whether all that was sent is acknowledged, and received by the others.
    pub(super) fn is_quiet(&self) -> bool {
        self.acknowledged == self.sent
            && self.received == self.sent * u64::from(self.people.saturating_sub(1))
    }
}

/// The counts of one run.
pub struct Tally {
    /// The rooms that the clients sit in.
    pub rooms: Vec<Room>,
    /// From sending a publication to each of its deliveries.
    pub latency: Histogram,
    /// Deliveries of publications.
    pub deliveries: u64,
    /// Deliveries that overtook an earlier publication of the same sender.
    pub disordered: u64,
    /// Events that were no deliveries: presence, for most.
    pub others: u64,
    /// Rooms in which a publication has just reached all.
    pub finished: Vec<usize>,
    told: Vec<Vec<bool>>,
    /// How many users the observers do not see online yet, summed over the observers.
    pub untold: usize,
    /// How often observers were told what they had been told before.
    pub stale_news: u64,
    /// What those who write messages count.
    pub chat: Chat,
    mark_at: usize,
}

impl Tally {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self {
            rooms: Vec::new(),
            latency: Histogram::new(),
            deliveries: 0,
            disordered: 0,
            others: 0,
            finished: Vec::new(),
            told: Vec::new(),
            untold: 0,
            stale_news: 0,
            chat: Chat::default(),
            mark_at: 0,
        }
    }

    /// From now on `observers` await news of `users`.
    pub fn observe(&mut self, observers: usize, users: usize) {
        self.told = vec![vec![false; users]; observers];
        self.untold = observers * users;
    }

    /// A member of `room` received `payload`; `inbox` is what it has of the room so far.
    ///
    /// # Errors
    /// When it had that publication before, or was not to have it.
    #[inline]
    pub fn deliver(
        &mut self,
        room: usize,
        inbox: &mut Inbox,
        payload: &[u8],
        now: Instant,
    ) -> Result<()> {
        let (said_in, number) = self.read_mark(payload)?;
        ensure!(said_in == room, "a member of room {room} received what was said in {said_in}");
        let room = &mut self.rooms[said_in];
        ensure!(number < room.sent, "publication {number} came before it was sent");
        self.disordered += u64::from(!inbox.put(number)?);
        self.deliveries += 1;
        let slot = number as usize % WINDOW;
        self.latency.record(now.saturating_duration_since(room.sent_at[slot]));
        room.missing[slot] -= 1;
        if room.missing[slot] == 0 {
            room.advance();
            self.finished.push(said_in);
        }
        Ok(())
    }

    /// An observer was told that a user came or went.
    ///
    /// # Errors
    /// When the news do not say who.
    pub fn news(&mut self, observer: usize, payload: &[u8], online: bool) -> Result<()> {
        const USER: &[u8] = b"\"user-";
        let start = find(payload, USER).context("presence without a user")? + USER.len();
        let user = number(payload, start, 6).context("presence of a strange user")?;
        let Some(told) = self.told[observer].get_mut(user) else { return Ok(()) };
        if *told == online {
            self.stale_news += 1;
        } else if online {
            self.untold -= 1;
        } else {
            self.untold += 1;
        }
        *told = online;
        Ok(())
    }

    /// An observer lost its connection, and with it all it knew.
    pub fn forget(&mut self, observer: usize) {
        let told = &mut self.told[observer];
        self.untold += told.iter().filter(|told| **told).count();
        told.fill(false);
    }

    /// The two numbers of a mark. Frames of a run are alike but for the digits, so the mark is
    /// looked for once.
    ///
    /// # Errors
    /// When there is none.
    #[inline]
    pub(super) fn read_mark(&mut self, payload: &[u8]) -> Result<(usize, u32)> {
        if payload.get(self.mark_at) != Some(&b'#') {
            self.mark_at =
                payload.iter().position(|&b| b == b'#').context("a delivery without its mark")?;
        }
        let room = number(payload, self.mark_at + 1, ROOM_DIGITS);
        let number = number(payload, self.mark_at + ROOM_DIGITS + 2, NUMBER_DIGITS);
        let (room, number) = room.zip(number).context("a delivery with a broken mark")?;
        Ok((room, u32::try_from(number)?))
    }
}

/// What carries room and number through any server: it stands in the publication as `userName`.
pub fn mark(room: usize, number: u32) -> String {
    let mark = format!("#{room:04}-{number:08}#");
    debug_assert_eq!(mark.len(), MARK);
    mark
}

/// Where `needle` begins in `bytes`.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[inline]
fn number(bytes: &[u8], start: usize, digits: usize) -> Option<usize> {
    bytes.get(start..start + digits)?.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + usize::from(digit - b'0'))
    })
}
