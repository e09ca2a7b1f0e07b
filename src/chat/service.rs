//! The rules of conversations. Each change is one unit of work that locks its conversation, so what
//! it looked at stays true until it is kept, and announces what happened.

use std::{collections::BTreeSet, ops::Deref, sync::Arc};

use super::{
    announcements::{ForPeople, InConversation, Told, What},
    documents::{Conversation, ConversationKind, Person},
    requests::{
        AddParticipants, CreateConversation, Given, MAX_ADDED_IDS_BYTES, MAX_PARTICIPANTS,
        SHOWN_PARTICIPANTS, short_together,
    },
    store::{self, Came, ConversationRow, Member},
};
use crate::{
    access::Access,
    auth::{Actor, Identity, Role},
    config::LimitsConfig,
    control::Control,
    db::{self, Db, Tx},
    error::{Code, Error, Result},
    id::{Id, Ids},
    notifications::NotificationService,
    presence::Presence,
    room::Room,
    stream::Stream,
    users::{self, Names},
};

mod lists;
mod messages;
mod reactions;

pub(super) use self::messages::erase;
use self::reactions::ReactionLimits;

/// Conversations and their messages. Cheap to clone.
#[derive(Clone)]
pub struct ChatService {
    db: Db,
    access: Access,
    ids: Ids,
    notifications: NotificationService,
    presence: Presence,
    reactions: ReactionLimits,
}

/// A conversation as someone found it.
struct Visible {
    row: ConversationRow,
    /// The caller as a participant; an admin may be none.
    member: Option<Member>,
}

/// A conversation that somebody acts in.
struct VisibleForUpdate {
    visible: Visible,
    /// Who acts, as others see them.
    actor: Person,
    /// What they are called, as one.
    called: Option<String>,
}

impl Deref for VisibleForUpdate {
    type Target = Visible;

    fn deref(&self) -> &Visible {
        &self.visible
    }
}

impl Visible {
    /// The caller as a participant.
    fn member(&self) -> Result<&Member> {
        self.member.as_ref().ok_or_else(takes_part)
    }

    /// Refuses what an archived conversation does not take.
    fn ensure_open(&self) -> Result<()> {
        match self.row.document.archived_at {
            None => Ok(()),
            Some(_) => Err(Error::new(Code::Conflict, "The conversation is archived.")),
        }
    }
}

impl ChatService {
    /// Chat over this store; who is removed is taken out of the rooms, who is away is notified.
    #[must_use]
    pub fn new(
        db: Db,
        access: Access,
        ids: Ids,
        notifications: NotificationService,
        presence: Presence,
        limits: &LimitsConfig,
    ) -> Self {
        let reactions =
            ReactionLimits { per_user: limits.reactions_per_user, kinds: limits.reaction_kinds };
        Self { db, access, ids, notifications, presence, reactions }
    }

    /// Whether a conversation is kept here.
    pub(super) async fn keeps(&self, id: Id) -> Result<bool> {
        let unit = async move |tx: &mut Tx<'_>| Ok(store::find(tx, &id).await?.is_some());
        self.db.read(unit).await
    }

    /// Begins a conversation; the direct one of the same two is given back, with false.
    pub(super) async fn create(
        &self,
        creator: Actor,
        request: CreateConversation,
    ) -> Result<(Conversation, bool)> {
        let Actor { identity: caller, by_service } = creator;
        caller.ensure_person()?;
        let given = Given { id: request.id, created_at: request.created_at };
        given.ensure_by_service(by_service)?;
        let given_id = given.id.clone();
        let creator = caller.user_id.clone();
        let mut people: BTreeSet<Id> = request.participant_ids.into_iter().collect();
        people.insert(creator.clone());
        if !(2..=MAX_PARTICIPANTS).contains(&people.len()) {
            let rule = "names 2–1,000 people, the caller among them";
            return Err(Error::invalid("/participantIds", rule));
        }
        let two = people.len() == 2;
        let kind = request.kind.unwrap_or(if two && request.title.is_none() {
            ConversationKind::Direct
        } else {
            ConversationKind::Group
        });
        if kind == ConversationKind::Direct && !two {
            let rule = "a direct conversation has two people";
            return Err(Error::invalid("/participantIds", rule));
        }
        let id = given.id.clone().unwrap_or_else(|| Id::from(self.ids.next()));
        let (metadata, title) = (request.metadata, request.title);
        let unit = async move |tx: &mut Tx<'_>| {
            let others = people.iter().filter(|user| **user != creator);
            let other = others.clone().next().filter(|_| kind == ConversationKind::Direct);
            let key = other.map(|other| store::direct_key(&creator, other));
            let mut conversation = Conversation {
                id: id.clone(),
                underscore_id: id,
                kind,
                title,
                participants: Vec::new(),
                participant_count: people.len() as u64,
                metadata,
                created_by: creator.clone(),
                created_at: given.created_at(tx.now())?,
                archived_at: None,
            };
            if !store::insert(tx, &conversation, key.clone(), tx.now()).await? {
                if let Some(there) = begun(tx, &conversation, &people, &given).await? {
                    return Ok((there, false));
                }
                let row = store::direct(tx, key.unwrap_or_default()).await?;
                let row = row.ok_or_else(|| conflict("Try again: it was just archived."))?;
                return Ok((complete(tx, row.document).await?, false));
            }
            let known = users::known(tx, &creator).await?;
            let actor = person(&caller, users::acting(tx, &caller, known).await?);
            let all: Vec<_> = [&creator].into_iter().chain(others).cloned().collect();
            let came = Came { after_message: 0, after_event: 0, listed_at: tx.now() };
            conversation.participants =
                store::add_participants(tx, &conversation.id, &all, came).await?;
            conversation.participants.truncate(SHOWN_PARTICIPANTS);
            let told = Told::Created(conversation.clone(), actor);
            tx.announce(ForPeople { people, told });
            if given.id.is_some() {
                // Whoever was let in while there was no record of it.
                for room in rooms_of(&conversation.id) {
                    tx.instruct(Control::Recheck { room });
                }
            }
            Ok((conversation, true))
        };
        let Some(id) = given_id else { return self.db.write(unit).await };
        let (db, access) = (self.db.clone(), self.access.clone());
        let begun = async move {
            let begun = db.write(unit).await?;
            for room in rooms_of(&id) {
                access.recheck(&room).await;
            }
            Ok(begun)
        };
        self.db.run_to_completion(begun).await
    }

    /// Archives a conversation for everyone in it.
    pub(super) async fn archive(&self, caller: Arc<Identity>, id: Id) -> Result<()> {
        let unit = async move |tx: &mut Tx<'_>| {
            let visible = visible_for_update(tx, &caller, &id).await?;
            visible.member()?;
            if visible.row.document.archived_at.is_some() {
                return Ok(());
            }
            store::archive(tx, &id).await?;
            tx.announce(InConversation { id: id.clone(), what: What::Archived });
            let people = store::people(tx, &id).await?;
            tx.announce(ForPeople { people, told: Told::Archived(id) });
            Ok(())
        };
        self.db.write(unit).await
    }

    /// Lets people into a group. Who is in already stays as they are.
    pub(super) async fn add_participants(
        &self,
        caller: Arc<Identity>,
        id: Id,
        request: AddParticipants,
    ) -> Result<Conversation> {
        let (pointer, users) = match (request.user_id, request.user_ids) {
            (Some(user), None) => ("/userId", vec![user]),
            (None, Some(users)) => ("/userIds", users),
            _ => return Err(Error::invalid("", "takes either userId or userIds")),
        };
        if users.is_empty() || users.len() > MAX_PARTICIPANTS {
            return Err(Error::invalid(pointer, "has 1–1,000 items"));
        }
        short_together(&users, MAX_ADDED_IDS_BYTES)
            .map_err(|rule| Error::invalid(pointer, rule.message()))?;
        let unit = async move |tx: &mut Tx<'_>| {
            let visible = visible_for_update(tx, &caller, &id).await?;
            visible.ensure_open()?;
            if visible.row.document.kind == ConversationKind::Direct {
                return Err(conflict("A direct conversation stays between two."));
            }
            let stream = Stream::Conversation(id.clone());
            let came = Came {
                after_message: visible.row.messages,
                after_event: db::last_seq(tx, &stream).await?,
                listed_at: visible.row.listed_at,
            };
            let added = store::add_participants(tx, &id, &users, came).await?;
            let VisibleForUpdate { visible, actor: added_by, .. } = visible;
            let mut conversation = complete(tx, visible.row.document).await?;
            conversation.participant_count += added.len() as u64;
            if conversation.participant_count > MAX_PARTICIPANTS as u64 {
                return Err(conflict("A conversation has at most 1,000 people."));
            }
            if !added.is_empty() {
                let told = Told::Added { conversation_id: id.clone(), added_by };
                let people = added.iter().map(|participant| participant.id.clone()).collect();
                tx.announce(ForPeople { people, told });
                tx.announce(InConversation { id, what: What::ParticipantsAdded(added) });
            }
            Ok(conversation)
        };
        self.db.write(unit).await
    }

    /// Takes someone out of a group: oneself, or another by the creator or an admin. Their sockets
    /// hear of it, then leave.
    pub(super) async fn remove_participant(
        &self,
        caller: Arc<Identity>,
        id: Id,
        user: Id,
    ) -> Result<()> {
        let rooms = rooms_of(&id);
        let (removed, left) = (user.clone(), rooms.to_vec());
        let unit = async move |tx: &mut Tx<'_>| {
            let visible = visible_for_update(tx, &caller, &id).await?;
            let creator = visible.row.document.created_by == caller.user_id;
            if !(user == caller.user_id || creator || caller.has(Role::Admin)) {
                return Err(Error::needs(
                    "that participant, the conversation's creator, or an admin",
                ));
            }
            if visible.row.document.kind == ConversationKind::Direct {
                return Err(conflict("A direct conversation stays between two."));
            }
            if !store::remove_participant(tx, &id, &user).await? {
                return Err(Error::new(Code::NotFound, "There is no such participant."));
            }
            tx.announce(InConversation { id, what: What::ParticipantRemoved(user.clone()) });
            tx.instruct(Control::Evict { user, rooms: left });
            Ok(())
        };
        let (db, access) = (self.db.clone(), self.access.clone());
        self.db
            .run_to_completion(async move {
                db.write(unit).await?;
                // Committed events are on their way before the unit is answered, so this comes after.
                access.evict(&removed, &rooms).await;
                Ok(())
            })
            .await
    }
}

/// The rooms of a conversation, one in each dialect.
fn rooms_of(id: &Id) -> [Room; 2] {
    [Room::Conversation(id.clone()), Room::Chat(id.clone())]
}

/// The conversation that is there already under the id that a service gave it.
async fn begun(
    tx: &mut Tx<'_>,
    conversation: &Conversation,
    people: &BTreeSet<Id>,
    given: &Given,
) -> Result<Option<Conversation>> {
    let Some(id) = &given.id else { return Ok(None) };
    let Some(ConversationRow { document: there, .. }) = store::find(tx, id).await? else {
        return Ok(None);
    };
    let of = |conversation: &Conversation| {
        let Conversation { kind, title, metadata, created_by, .. } = conversation.clone();
        (kind, title, metadata, created_by)
    };
    let same = of(&there) == of(conversation)
        && given.created_at.is_none_or(|at| there.created_at == at)
        && store::people(tx, id).await? == *people;
    if same {
        Ok(Some(complete(tx, there).await?))
    } else {
        Err(conflict("Another conversation has this id."))
    }
}

/// A conversation that the caller may know of; for the others there is none.
async fn visible(
    tx: &mut Tx<'_>,
    caller: &Identity,
    row: Option<ConversationRow>,
) -> Result<Visible> {
    let none = || Error::new(Code::NotFound, "There is no such conversation.");
    let row = row.ok_or_else(none)?;
    let member = store::member(tx, &row.document.id, &caller.user_id).await?;
    if member.is_none() && !caller.has(Role::Admin) {
        return Err(none());
    }
    Ok(Visible { row, member })
}

/// [`visible`], locked until the end of the unit, for someone who acts in it.
async fn visible_for_update(
    tx: &mut Tx<'_>,
    caller: &Identity,
    id: &Id,
) -> Result<VisibleForUpdate> {
    caller.ensure_person()?;
    let row = store::find_for_update(tx, id).await?;
    let visible = visible(tx, caller, row).await?;
    let known = match &visible.member {
        Some(member) => member.names.clone(),
        None => users::known(tx, &caller.user_id).await?,
    };
    let names = users::acting(tx, caller, known).await?;
    Ok(VisibleForUpdate { visible, called: names.in_full(), actor: person(caller, names) })
}

/// A conversation with the first who take part.
async fn complete(tx: &mut Tx<'_>, mut conversation: Conversation) -> Result<Conversation> {
    conversation.participants = store::first_participants(tx, &conversation.id).await?;
    Ok(conversation)
}

/// For an admin, who sees all and takes part in some.
fn takes_part() -> Error {
    Error::needs("somebody who takes part in the conversation")
}

fn conflict(sentence: &'static str) -> Error {
    Error::new(Code::Conflict, sentence)
}

/// Someone who acts, as others see them.
fn person(caller: &Identity, names: Names) -> Person {
    let Names { first_name, last_name, .. } = names;
    Person { id: caller.user_id.clone(), first_name, last_name }
}
