//! Who has to do with whom, as far as it matters who is here: asked for many users at once, and only
//! those are found who are here to be told.

use std::collections::{HashMap, HashSet};

use futures_util::future::BoxFuture;

use super::registry::Registry;
use crate::{error::Result, id::Id, realtime::Picks};

/// Asks stored data who shares a conversation or a request.
pub trait Contacts: Send + Sync {
    /// Finds the contacts of every user of a search.
    fn find<'a>(&'a self, search: &'a mut Search<'_>) -> BoxFuture<'a, Result<()>>;

    /// Which of these are a user's contacts.
    fn among<'a>(&'a self, user: &'a Id, others: &'a [Id]) -> BoxFuture<'a, Result<HashSet<Id>>>;
}

/// Some users, and those of their contacts who are here.
pub struct Search<'a> {
    users: HashMap<Id, usize>,
    found: HashMap<Id, Picks>,
    here: &'a Registry,
}

/// Some of the users of a search who have something in common, such as a conversation.
#[derive(Default)]
pub struct Circle(Picks);

impl<'a> Search<'a> {
    /// A search for the contacts of these, who are known by their indexes from now on. Each is told
    /// of themselves.
    pub(super) fn new(users: &[Id], here: &'a Registry) -> Self {
        let users: HashMap<Id, usize> = users.iter().cloned().zip(0..).collect();
        let mut search = Self { users: HashMap::new(), found: HashMap::new(), here };
        for (user, index) in &users {
            let mut circle = Circle::default();
            circle.0.insert(*index);
            search.meet(user, &circle);
        }
        search.users = users;
        search
    }

    /// The users whose contacts are looked for.
    pub fn users(&self) -> impl Iterator<Item = &Id> {
        self.users.keys()
    }

    /// Takes a user of the search into a circle.
    pub fn add(&self, circle: &mut Circle, user: &Id) {
        if let Some(index) = self.users.get(user) {
            circle.0.insert(*index);
        }
    }

    /// Notes that somebody is a contact of all in a circle.
    pub fn meet(&mut self, contact: &Id, circle: &Circle) {
        if let Some(known) = self.found.get_mut(contact) {
            known.add(&circle.0);
        } else if self.here.is_here(contact) {
            self.found.insert(contact.clone(), circle.0.clone());
        }
    }

    /// Who was found, and the indexes of whose contacts they are.
    pub(super) fn found(self) -> HashMap<Id, Picks> {
        self.found
    }
}
