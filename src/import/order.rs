//! Records of lines and of what they name, which sort by their bytes.

use super::files::At;
use crate::moving::{Names, Place};

/// Bytes of the record of a line.
pub(super) const LINE: usize = 72;

/// Bytes of a group's name by which groups are put in order, as the store's indexes have them: rows that come
/// one after the other lie beside each other there.
const BEGINNING: usize = 24;

/// Bytes of the record of a name.
pub(super) const NAME: usize = 40;

/// Where a line comes: its family, its group, its place there, and as it stands in the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineRecord {
    pub(super) family: u8,
    /// How the group's name begins.
    beginning: [u8; BEGINNING],
    pub(super) group: u128,
    /// What comes first in the group, then what has a time.
    pub(super) is_timed: bool,
    pub(super) is_numbered: bool,
    /// The number, else the time in milliseconds.
    value: u64,
    pub(super) kind: u8,
    pub(super) at: At,
}

impl LineRecord {
    pub(super) fn new(family: u8, kind: u8, place: &Place, names: &Names, at: At) -> Self {
        Self {
            family,
            beginning: beginning(&place.group),
            group: match place.group.as_str() {
                "" => 0,
                group => names.number("group", group),
            },
            is_timed: place.at.is_some(),
            is_numbered: place.number.is_some(),
            value: place.number.unwrap_or(place.at.map_or(0, |at| at.millis().unsigned_abs())),
            kind,
            at,
        }
    }

    pub(super) fn to_bytes(self) -> [u8; LINE] {
        let mut bytes = Bytes::<LINE>::default();
        bytes.put(&[self.family]);
        bytes.put(&self.beginning);
        bytes.put(&self.group.to_be_bytes());
        bytes.put(&[u8::from(self.is_timed), u8::from(!self.is_numbered)]);
        bytes.put(&self.value.to_be_bytes());
        bytes.put_at(self.at);
        bytes.put(&[self.kind]);
        bytes.bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; LINE]) -> Self {
        let mut read = Reader(bytes);
        Self {
            family: read.byte(),
            beginning: read.take(),
            group: u128::from_be_bytes(read.take()),
            is_timed: read.byte() == 1,
            is_numbered: read.byte() == 0,
            value: u64::from_be_bytes(read.take()),
            at: read.at(),
            kind: read.byte(),
        }
    }
}

fn beginning(name: &str) -> [u8; BEGINNING] {
    let mut beginning = [0; BEGINNING];
    for (to, from) in beginning.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    beginning
}

/// A name, the lines that it is of before those that refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameRecord {
    pub(super) number: u128,
    pub(super) is_own: bool,
    pub(super) at: At,
}

impl NameRecord {
    pub(super) fn to_bytes(self) -> [u8; NAME] {
        let mut bytes = Bytes::<NAME>::default();
        bytes.put(&self.number.to_be_bytes());
        bytes.put(&[u8::from(!self.is_own)]);
        bytes.put_at(self.at);
        bytes.bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; NAME]) -> Self {
        let mut read = Reader(bytes);
        Self { number: u128::from_be_bytes(read.take()), is_own: read.byte() == 0, at: read.at() }
    }
}

struct Bytes<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Bytes<N> {
    fn default() -> Self {
        Self { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Bytes<N> {
    fn put(&mut self, some: &[u8]) {
        self.bytes[self.length..self.length + some.len()].copy_from_slice(some);
        self.length += some.len();
    }

    fn put_at(&mut self, at: At) {
        self.put(&at.file.to_be_bytes());
        self.put(&at.line.to_be_bytes()[2..]);
        self.put(&at.offset.to_be_bytes()[2..]);
        self.put(&at.bytes.to_be_bytes());
    }
}

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (some, rest) = self.0.split_at(N.min(self.0.len()));
        self.0 = rest;
        let mut taken = [0; N];
        taken[..some.len()].copy_from_slice(some);
        taken
    }

    fn byte(&mut self) -> u8 {
        let [byte] = self.take();
        byte
    }

    fn at(&mut self) -> At {
        let file = u16::from_be_bytes(self.take());
        let mut number = || {
            let mut whole = [0; 8];
            whole[2..].copy_from_slice(&self.take::<6>());
            u64::from_be_bytes(whole)
        };
        let (line, offset) = (number(), number());
        At { file, line, offset, bytes: u32::from_be_bytes(self.take()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn at(line: u64) -> At {
        At { file: 3, line, offset: 1 << 40, bytes: 77 }
    }

    #[test]
    fn records_read_back() {
        let place = Place {
            group: "c1".to_owned(),
            number: None,
            at: Some(Timestamp::from_millis(1_764_000_000_000)),
        };
        let line = LineRecord::new(2, 1, &place, &Names::default(), at(9));
        assert_eq!(LineRecord::from_bytes(&line.to_bytes()), line);
        let name = NameRecord { number: u128::MAX - 1, is_own: false, at: at(5) };
        assert_eq!(NameRecord::from_bytes(&name.to_bytes()), name);
    }

    #[test]
    fn groups_come_in_the_order_of_their_names() {
        let names = Names::default();
        let record = |group: &str, millis: i64| {
            let at_time = Some(Timestamp::from_millis(millis));
            let place = Place { group: group.to_owned(), number: None, at: at_time };
            LineRecord::new(0, 0, &place, &names, at(1)).to_bytes()
        };
        assert!(record("c1", 9) < record("c2", 1) && record("c2", 9) < record("c21", 1));
        let (one, other) = (["long"; 9].concat(), ["long"; 8].concat());
        assert_ne!(record(&one, 1)[..LINE - 27], record(&other, 1)[..LINE - 27]);
    }

    #[test]
    fn a_group_begins_with_what_has_no_time_and_goes_on_by_time() {
        let names = Names::default();
        let record = |millis: Option<i64>, line: u64| {
            let at_time = millis.map(Timestamp::from_millis);
            let place = Place { group: "c1".to_owned(), number: None, at: at_time };
            LineRecord::new(0, 0, &place, &names, at(line)).to_bytes()
        };
        let mut records =
            [record(Some(20), 1), record(Some(3), 4), record(Some(3), 2), record(None, 9)];
        records.sort_unstable();
        let lines = records.map(|bytes| LineRecord::from_bytes(&bytes).at.line);
        assert_eq!(lines, [9, 2, 4, 1]);
        let own = |is_own| NameRecord { number: 1, is_own, at: at(1) }.to_bytes();
        assert!(own(true) < own(false));
    }
}
