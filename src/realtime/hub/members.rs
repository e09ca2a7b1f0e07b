//! The members of one room in one shard: a list to walk, small while the room is, from which any
//! member leaves without a scan of a large room.

use indexmap::IndexSet;
use smallvec::SmallVec;

/// Up to how many members a list is searched from end to end.
const FEW: usize = 8;

/// The slots of a room's members.
pub(super) enum Members {
    Few(SmallVec<[u32; 2]>),
    /// Boxed, since most rooms are small: that of each user.
    Many(Box<IndexSet<u32>>),
}

impl Default for Members {
    fn default() -> Self {
        Self::Few(SmallVec::new())
    }
}

impl Members {
    pub(super) fn insert(&mut self, slot: u32) {
        match self {
            Self::Many(members) => {
                members.insert(slot);
            }
            Self::Few(members) if members.contains(&slot) => {}
            Self::Few(members) if members.len() < FEW => members.push(slot),
            Self::Few(members) => {
                let mut many: IndexSet<u32> = members.iter().copied().collect();
                many.insert(slot);
                *self = Self::Many(Box::new(many));
            }
        }
    }

    pub(super) fn remove(&mut self, slot: u32) {
        match self {
            Self::Few(members) => {
                if let Some(at) = members.iter().position(|other| *other == slot) {
                    members.swap_remove(at);
                }
            }
            Self::Many(members) => {
                members.swap_remove(&slot);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(members) => members.len(),
            Self::Many(members) => members.len(),
        }
    }

    /// The member at an index of the list.
    fn get(&self, index: usize) -> Option<u32> {
        match self {
            Self::Few(members) => members.get(index).copied(),
            Self::Many(members) => members.get_index(index).copied(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_in_once_and_leaves_at_any_size() {
        for size in [1, 2, FEW, FEW + 1, 10_000] {
            let mut members = Members::default();
            for slot in (0..size).chain(0..size) {
                members.insert(u32::try_from(slot).unwrap());
            }
            assert_eq!(members.len(), size);
            // A large room is no list to scan.
            assert_eq!(matches!(members, Members::Many(_)), size > FEW);
            for slot in 0..size {
                members.remove(u32::try_from(slot).unwrap());
                members.remove(u32::try_from(slot).unwrap());
                assert_eq!(members.len(), size - slot - 1);
            }
        }
    }
}
