//! Seats: numbers by which the hub knows connections, without knowing what they are. Each of its
//! shards has seats of its own: a seat's number is the index of its slot there.

use std::{
    num::NonZeroU32,
    sync::{Arc, Weak},
};

use parking_lot::{Mutex, MutexGuard};

/// Who has a seat: never the same as another one of the same shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    seat: u32,
    /// Which it is of those who have had the seat.
    number: NonZeroU32,
}

impl Member {
    /// Which seat of its shard it has.
    pub(super) fn seat(self) -> u32 {
        self.seat
    }

    #[cfg(test)]
    pub(super) fn on(seat: u32, earlier: u32) -> Self {
        Self { seat, number: NonZeroU32::MIN.saturating_add(earlier) }
    }
}

/// The seats of every shard, and who has them.
pub(super) struct Seats<T>(Box<[Mutex<Shard<T>>]>);

struct Shard<T> {
    seats: Vec<Seat<T>>,
    free: Vec<u32>,
}

struct Seat<T> {
    /// That of who has it, or will.
    number: NonZeroU32,
    one: Weak<T>,
}

impl<T> Seats<T> {
    pub(super) fn new(shards: usize) -> Self {
        let shard = |_| Mutex::new(Shard { seats: Vec::new(), free: Vec::new() });
        Self((0..shards).map(shard).collect())
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard<T>> {
        self.0[shard].lock()
    }

    /// Gives a seat to who is made with it.
    pub(super) fn take(&self, shard: usize, make: impl FnOnce(Member) -> Arc<T>) -> Arc<T> {
        let mut shard = self.lock(shard);
        let seat = shard.free.pop().unwrap_or_else(|| {
            shard.seats.push(Seat { number: NonZeroU32::MIN, one: Weak::new() });
            // There are fewer sockets than that.
            u32::try_from(shard.seats.len() - 1).unwrap_or(u32::MAX)
        });
        let at = &mut shard.seats[seat as usize];
        let one = make(Member { seat, number: at.number });
        at.one = Arc::downgrade(&one);
        one
    }

    /// The seat is another's from now on, who is heard of after all that was said of this one.
    pub(super) fn free(&self, shard: usize, member: Member) {
        let mut shard = self.lock(shard);
        let at = &mut shard.seats[member.seat as usize];
        if at.number == member.number {
            let number = at.number.checked_add(1).unwrap_or(NonZeroU32::MIN);
            *at = Seat { number, one: Weak::new() };
            shard.free.push(member.seat);
        }
    }

    /// Those of these who still have their seats.
    pub(super) fn find(
        &self,
        shard: usize,
        members: impl IntoIterator<Item = Member>,
    ) -> Vec<Arc<T>> {
        let shard = self.lock(shard);
        let found = members.into_iter().filter_map(|member| {
            let at = shard.seats.get(member.seat as usize)?;
            if at.number == member.number { at.one.upgrade() } else { None }
        });
        found.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_taken_again_and_who_had_it_before_is_not_found_there() {
        let seats = Seats::<Member>::new(2);
        let (first, second) = (seats.take(1, Arc::new), seats.take(1, Arc::new));
        assert_eq!((first.seat(), second.seat()), (0, 1));
        assert_eq!(seats.take(0, Arc::new).seat(), 0, "each shard has its own");
        seats.free(1, *first);
        let third = seats.take(1, Arc::new);
        assert_eq!(third.seat(), first.seat());
        assert_ne!(third, first);
        assert_eq!(seats.find(1, [*first, *second, *third]), [second, third.clone()]);
        // Once more says nothing new.
        seats.free(1, *first);
        assert_eq!(seats.find(1, [*third]), [third]);
    }

    #[test]
    fn who_is_no_more_is_not_found() {
        let seats = Seats::<Member>::new(1);
        let one = seats.take(0, Arc::new);
        let member = *one;
        drop(one);
        assert!(seats.find(0, [member]).is_empty());
    }
}
