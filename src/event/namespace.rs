//! Namespaces, the dialects that are spoken in them, and what there is one of for each.

use std::ops::{Index, IndexMut};

use serde::Serialize;

/// A Socket.IO namespace of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespace {
    /// `/`: both dialects.
    Root,
    /// `/chat`: the conversation dialect.
    Chat,
    /// `/marketplace`: the marketplace dialect.
    Marketplace,
    /// `/admin`: no app's; the official Admin UI's, where it is set up.
    Admin,
}

impl Namespace {
    /// Every namespace of apps.
    pub const ALL: [Self; 3] = [Self::Root, Self::Chat, Self::Marketplace];

    /// Those, and that of the Admin UI.
    pub const EVERY: [Self; 4] = [Self::Root, Self::Chat, Self::Marketplace, Self::Admin];

    /// The namespace's path, as clients name it.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Root => "/",
            Self::Chat => "/chat",
            Self::Marketplace => "/marketplace",
            Self::Admin => "/admin",
        }
    }

    /// The namespace of apps of a path; none for any other.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|namespace| namespace.path() == path)
    }

    /// The namespace that a client names, which may be that of the Admin UI.
    #[must_use]
    pub fn asked_for(path: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|namespace| namespace.path() == path)
    }
}

/// One `T` for each namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByNamespace<T>([T; Namespace::EVERY.len()]);

impl<T> ByNamespace<T> {
    /// What `make` makes for each.
    #[must_use]
    pub fn new(make: impl FnMut(Namespace) -> T) -> Self {
        Self(Namespace::EVERY.map(make))
    }
}

impl<T> Index<Namespace> for ByNamespace<T> {
    type Output = T;

    fn index(&self, namespace: Namespace) -> &T {
        &self.0[namespace as usize]
    }
}

impl<T> IndexMut<Namespace> for ByNamespace<T> {
    fn index_mut(&mut self, namespace: Namespace) -> &mut T {
        &mut self.0[namespace as usize]
    }
}

/// A set of namespaces of apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Namespaces(u8);

impl Namespaces {
    /// All of them.
    pub const ALL: Self = Self(0b111);

    /// A set of one.
    #[must_use]
    pub const fn of(namespace: Namespace) -> Self {
        Self(1 << namespace as u8)
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, namespace: Namespace) -> Self {
        Self(self.0 | 1 << namespace as u8)
    }

    /// What is in either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set has it.
    #[must_use]
    pub const fn contains(self, namespace: Namespace) -> bool {
        self.0 & 1 << namespace as u8 != 0
    }

    /// Whether one is in both sets.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The set as a number, with a bit for each namespace in their order.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set that is such a number; none where that names another namespace, or no namespace.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits == 0 || bits & !Self::ALL.0 != 0 { None } else { Some(Self(bits)) }
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Namespace> {
        Namespace::ALL.into_iter().filter(move |namespace| self.contains(*namespace))
    }
}

/// The two ways in which web apps in production name the same things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// `message:new`, on `/` and `/chat`.
    Conversation,
    /// `new-message`, on `/` and `/marketplace`.
    Marketplace,
    /// Belongs to both: sessions and presence.
    Both,
}

impl Dialect {
    /// Where the dialect is spoken.
    #[must_use]
    pub const fn namespaces(self) -> Namespaces {
        let root = Namespaces::of(Namespace::Root);
        match self {
            Self::Conversation => root.with(Namespace::Chat),
            Self::Marketplace => root.with(Namespace::Marketplace),
            Self::Both => Namespaces::ALL,
        }
    }
}

/// One that may be none, as its path.
pub mod as_path {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::event::Namespace;

    /// None is empty.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(
        namespace: &Option<Namespace>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(namespace.map_or("", Namespace::path))
    }

    /// # Errors
    /// Where there is no such path.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Namespace>, D::Error> {
        let path = String::deserialize(from)?;
        Namespace::from_path(&path)
            .map(Some)
            .ok_or_else(|| D::Error::custom("not the path of a namespace"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_namespace_has_its_own() {
        let mut paths = ByNamespace::new(Namespace::path);
        for namespace in Namespace::EVERY {
            assert_eq!(paths[namespace], namespace.path());
        }
        paths[Namespace::Chat] = "";
        let left = Namespace::EVERY.map(|namespace| paths[namespace]);
        assert_eq!(left, ["/", "", "/marketplace", "/admin"]);
        assert!(!Namespaces::ALL.contains(Namespace::Admin), "no app's event is heard there");
    }
}
