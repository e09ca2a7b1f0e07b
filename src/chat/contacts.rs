//! Who is in a conversation with whom, for those who are told that somebody came or went.
//!
//! Much is asked at once, and each answer has a bound: conversations of many users, else those of
//! one, a page at a time; then everyone in some conversations, once for all of the users who are in
//! them. Between two questions whatever else is read has its turn.

use std::collections::{HashMap, HashSet};

use super::{
    requests::MAX_PARTICIPANTS,
    store::{self, Participation},
};
use crate::{
    db::{Db, Tx},
    error::Result,
    id::Id,
    presence::{Circle, Search},
};

/// Users whose conversations are asked for at once.
const USERS_AT_ONCE: usize = 128;

/// Rows of an answer, at most; and people in the conversations that are asked for at once, unless it
/// is one.
const ROWS: usize = 2 * MAX_PARTICIPANTS;

/// Conversations that are kept in mind until those who take part are asked for.
const CONVERSATIONS: usize = 10_000;

/// Finds everyone who takes part in a conversation of a search's users, archived ones too.
///
/// # Errors
/// [`Code::Unavailable`](crate::error::Code::Unavailable) while the store is away.
pub async fn find_contacts(db: &Db, search: &mut Search<'_>) -> Result<()> {
    let users: Vec<Id> = search.users().cloned().collect();
    let mut circles = Circles::default();
    for some in users.chunks(USERS_AT_ONCE) {
        let asked = some.to_vec();
        let unit = async move |tx: &mut Tx<'_>| store::participations(tx, &asked, rows()).await;
        let participations = db.read(unit).await?;
        if participations.len() < ROWS {
            circles.add(db, search, participations).await?;
        } else {
            for user in some {
                one_by_one(db, search, &mut circles, user).await?;
            }
        }
    }
    circles.meet(db, search).await
}

/// Which of these share a conversation with a user.
///
/// # Errors
/// As [`find_contacts`].
pub async fn contacts_among(db: &Db, user: &Id, others: &[Id]) -> Result<HashSet<Id>> {
    let (user, others) = (user.clone(), others.to_vec());
    db.read(async move |tx: &mut Tx<'_>| store::shared(tx, &user, &others).await).await
}

/// Who takes part in a conversation.
///
/// # Errors
/// As [`find_contacts`].
pub async fn participants(tx: &mut Tx<'_>, conversation: &Id) -> Result<Vec<Id>> {
    let members = store::members(tx, std::slice::from_ref(conversation)).await?;
    Ok(members.into_iter().map(|(_, member)| member).collect())
}

/// The conversations of a user who may have very many.
async fn one_by_one(
    db: &Db,
    search: &mut Search<'_>,
    circles: &mut Circles,
    user: &Id,
) -> Result<()> {
    let mut after = None;
    loop {
        let (of, from) = (user.clone(), after);
        let unit =
            async move |tx: &mut Tx<'_>| store::participations_after(tx, &of, from, rows()).await;
        let page = db.read(unit).await?;
        let is_last = page.len() < ROWS;
        after = page.last().map(Participation::cursor);
        circles.add(db, search, page).await?;
        if is_last {
            return Ok(());
        }
    }
}

fn rows() -> i64 {
    i64::try_from(ROWS).unwrap_or(i64::MAX)
}

/// Conversations, each with how many take part and those of the search's users who do.
#[derive(Default)]
struct Circles(HashMap<Id, (usize, Circle)>);

impl Circles {
    /// Adds users to their conversations; when it has become many, asks who else is in them.
    async fn add(
        &mut self,
        db: &Db,
        search: &mut Search<'_>,
        participations: Vec<Participation>,
    ) -> Result<()> {
        for Participation { user, conversation, size, .. } in participations {
            let (_, circle) = self.0.entry(conversation).or_insert_with(|| {
                (usize::try_from(size).unwrap_or(usize::MAX), Circle::default())
            });
            search.add(circle, &user);
        }
        if self.0.len() < CONVERSATIONS { Ok(()) } else { self.meet(db, search).await }
    }

    /// Finds who takes part in them.
    async fn meet(&mut self, db: &Db, search: &mut Search<'_>) -> Result<()> {
        let circles = std::mem::take(&mut self.0);
        for some in batches(&circles) {
            let members = db.read(async move |tx: &mut Tx<'_>| store::members(tx, &some).await);
            for (conversation, member) in members.await? {
                if let Some((_, circle)) = circles.get(&conversation) {
                    search.meet(&member, circle);
                }
            }
        }
        Ok(())
    }
}

/// The conversations in batches, each with few people or one conversation.
fn batches(circles: &HashMap<Id, (usize, Circle)>) -> Vec<Vec<Id>> {
    let mut batches: Vec<Vec<Id>> = Vec::new();
    let mut room = 0;
    for (id, (size, _)) in circles {
        if let Some(batch) = batches.last_mut().filter(|_| *size <= room) {
            batch.push(id.clone());
        } else {
            batches.push(vec![id.clone()]);
            room = ROWS;
        }
        room = room.saturating_sub(*size);
    }
    batches
}
