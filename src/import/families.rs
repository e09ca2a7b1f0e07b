//! Who brings which lines, in the order in which they are taken in: what others refer to comes before those.

use super::{streams::StreamLine, users::UserLine};
use crate::{
    access::GrantLine,
    chat,
    marketplace::{CheckoutLine, OfferLine, RequestLine},
    moving::{Alone, Movable},
    notifications::NotificationLine,
    payments::{PaymentLine, PayoutLine},
    points::PointsLine,
    users::RevocationLine,
};

/// A type of lines.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// Which of the families.
    pub(super) family: u8,
    /// Which of its types.
    pub(super) kind: u8,
}

static FAMILIES: &[&dyn Movable] = &[
    &Alone::<StreamLine>::new(),
    &Alone::<RevocationLine>::new(),
    &Alone::<UserLine>::new(),
    &Alone::<GrantLine>::new(),
    &chat::Lines,
    &Alone::<RequestLine>::new(),
    &Alone::<OfferLine>::new(),
    &Alone::<CheckoutLine>::new(),
    &Alone::<PaymentLine>::new(),
    &Alone::<PayoutLine>::new(),
    &Alone::<NotificationLine>::new(),
    &Alone::<PointsLine>::new(),
];

/// All of them.
pub(super) fn families() -> &'static [&'static dyn Movable] {
    FAMILIES
}

/// The family of a type.
pub(super) fn kind(name: &str) -> Option<Kind> {
    (0..).zip(families()).find_map(|(family, movable)| {
        let kind = movable.types().iter().position(|kind| *kind == name)?;
        Some(Kind { family, kind: u8::try_from(kind).ok()? })
    })
}

/// Whether a line is in such a space beside its type, by its id as well.
pub(super) fn is_beside_its_type(space: &str) -> bool {
    families().iter().any(|movable| {
        let mut beside = movable.types().iter().flat_map(|kind| movable.spaces(kind));
        beside.any(|(name, _)| *name == space)
    })
}

/// A family by its number.
pub(super) fn family(number: u8) -> &'static dyn Movable {
    families()[usize::from(number)]
}

/// Every type, for who asks what there is.
pub(super) fn types() -> String {
    let types = families().iter().flat_map(|movable| movable.types()).copied();
    types.collect::<Vec<_>>().join(", ")
}
