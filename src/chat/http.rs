//! Chat over REST (docs/contract/rest.md#chat).

use axum::{
    Extension, Json,
    extract::{FromRef, State},
};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    documents::{Conversation, Message, MessageAnswer, Participant},
    events::conversation::ReactionAction,
    requests::{
        AddParticipants, ConversationView, CreateConversation, Draft, EditMessage, MarkRead,
        ReadResult, Stretch,
    },
    service::ChatService,
};
use crate::{
    auth::{Authenticator, Caller, NamingCaller},
    error::Result,
    failures,
    id::Id,
    idempotency::{Subject, answer},
    rest::{
        body::{Body, Path, Query, ValidBody},
        failures::NoPerson,
        list::{List, Page},
        openapi,
    },
};

failures! {
    /// The conversation does not exist, or the caller may not know of it.
    NoConversation = NotFound, "There is no such conversation.";
    /// The message does not exist, or the caller may not know of it.
    NoMessage = NotFound, "There is no such message.";
    /// The conversation is archived, or full.
    Archived = Conflict, "The conversation is archived.";
    /// There is another conversation of this id.
    Taken = Conflict, "Another conversation has this id.";
    /// The conversation is a direct one.
    Direct = Conflict, "A direct conversation stays between two.";
    /// The message is deleted, or its conversation archived.
    Deleted = Conflict, "The message is deleted.";
}

/// The routes.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    ChatService: FromRef<S>,
{
    openapi::under("Chat", "Conversations, who takes part in them, and their messages.")
        .routes(routes!(create_conversation, list_conversations))
        .routes(routes!(get_conversation))
        .routes(routes!(archive_conversation))
        .routes(routes!(list_participants, add_participants))
        .routes(routes!(remove_participant))
        .routes(routes!(list_messages, send_message))
        .routes(routes!(edit_message, delete_message))
        .routes(routes!(add_reaction, remove_reaction))
        .routes(routes!(mark_read))
}

/// A conversation.
#[derive(Serialize, ToSchema)]
struct ConversationAnswer {
    conversation: Conversation,
}

/// 201 for what was made, 200 for what was there.
const fn made(created: bool) -> StatusCode {
    if created { StatusCode::CREATED } else { StatusCode::OK }
}

/// Creates a conversation.
///
/// A direct conversation of the same two people is returned instead of created twice. The caller
/// takes part, whether `participantIds` names them or not. A service that acts for the creator may give
/// an id and a time; the same id with the same content is returned, with other content it is a 409.
#[utoipa::path(
    post,
    path = "/api/conversations",
    tag = "Chat",
    request_body = CreateConversation,
    responses(
        (status = 201, description = "Created.", body = ConversationAnswer),
        (
            status = 200,
            description = "The direct conversation of these two people, or the one of this id, which \
                           exists already.",
            body = ConversationAnswer,
        ),
        Taken, NoPerson,
    )
)]
async fn create_conversation(
    State(chat): State<ChatService>,
    caller: NamingCaller,
    ValidBody(request): ValidBody<CreateConversation>,
) -> Result<(StatusCode, Json<ConversationAnswer>)> {
    let creator = caller.named(None, "")?;
    answer(chat.create(creator, request), |(conversation, created)| {
        (made(created), Json(ConversationAnswer { conversation }))
    })
    .await
}

/// Lists the caller's conversations.
///
/// The newest activity comes first. Each item has its last message, the number of messages that the
/// caller has not read, and its first 20 participants.
#[utoipa::path(
    get,
    path = "/api/conversations",
    tag = "Chat",
    params(Page),
    responses(
        (status = 200, description = "A page of conversations.", body = List<ConversationView>),
    )
)]
async fn list_conversations(
    State(chat): State<ChatService>,
    caller: Caller,
    page: Page,
) -> Result<List<ConversationView>> {
    chat.list(caller.identity, page).await
}

/// Returns a conversation.
///
/// Participants and admins only; for everyone else it does not exist.
#[utoipa::path(
    get,
    path = "/api/conversations/{id}",
    tag = "Chat",
    params(("id" = String, Path, description = "The conversation.")),
    responses(
        (status = 200, description = "The conversation.", body = ConversationView),
        NoConversation,
    )
)]
async fn get_conversation(
    State(chat): State<ChatService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<ConversationView>> {
    Ok(Json(chat.get(caller.identity, id).await?))
}

/// Archives a conversation.
///
/// For all its participants: it takes no more messages. Archiving it again changes nothing.
#[utoipa::path(
    post,
    path = "/api/conversations/{id}/archive",
    tag = "Chat",
    params(("id" = String, Path, description = "The conversation.")),
    responses((status = 204, description = "Archived."), NoConversation, NoPerson)
)]
async fn archive_conversation(
    State(chat): State<ChatService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<StatusCode> {
    answer(chat.archive(caller.identity, id), |()| StatusCode::NO_CONTENT).await
}

/// Lists the participants of a conversation.
///
/// Who joined first comes first.
#[utoipa::path(
    get,
    path = "/api/conversations/{id}/participants",
    tag = "Chat",
    params(("id" = String, Path, description = "The conversation."), Page),
    responses(
        (status = 200, description = "A page of participants.", body = List<Participant>),
        NoConversation,
    )
)]
async fn list_participants(
    State(chat): State<ChatService>,
    caller: Caller,
    Path(id): Path<Id>,
    page: Page,
) -> Result<List<Participant>> {
    chat.participants(caller.identity, id, page).await
}

/// Adds participants to a group.
///
/// Takes either `userId` or `userIds`. Who takes part already is left as they are.
#[utoipa::path(
    post,
    path = "/api/conversations/{id}/participants",
    tag = "Chat",
    params(("id" = String, Path, description = "The conversation.")),
    request_body = AddParticipants,
    responses(
        (
            status = 200,
            description = "The conversation with its participants.",
            body = ConversationAnswer,
        ),
        NoConversation, Archived, NoPerson,
    )
)]
async fn add_participants(
    State(chat): State<ChatService>,
    caller: Caller,
    Path(id): Path<Id>,
    Body(request): Body<AddParticipants>,
) -> Result<Json<ConversationAnswer>> {
    answer(chat.add_participants(caller.identity, id, request), |conversation| {
        Json(ConversationAnswer { conversation })
    })
    .await
}

/// Removes a participant from a group.
///
/// Participants remove themselves; the creator of the group and admins remove anyone. The sockets
/// of whoever is removed leave the rooms of the conversation.
#[utoipa::path(
    delete,
    path = "/api/conversations/{id}/participants/{userId}",
    tag = "Chat",
    params(
        ("id" = String, Path, description = "The conversation."),
        ("userId" = String, Path, description = "Who goes."),
    ),
    responses((status = 204, description = "Removed."), NoConversation, Direct, NoPerson)
)]
async fn remove_participant(
    State(chat): State<ChatService>,
    caller: Caller,
    Path((id, user)): Path<(Id, Id)>,
) -> Result<StatusCode> {
    chat.remove_participant(caller.identity, id, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the messages of a conversation.
///
/// The newest come first. With `after` the list goes on from that message, oldest first.
#[utoipa::path(
    get,
    path = "/api/conversations/{id}/messages",
    tag = "Chat",
    params(("id" = String, Path, description = "The conversation."), Stretch, Page),
    responses(
        (status = 200, description = "A page of messages.", body = List<Message>),
        NoConversation,
    )
)]
async fn list_messages(
    State(chat): State<ChatService>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(stretch): Query<Stretch>,
    page: Page,
) -> Result<List<Message>> {
    chat.history(caller.identity, id, stretch, page).await
}

/// Sends a message.
///
/// A `clientMessageId` makes sending safe to repeat: the same sender's message of the same id is
/// returned instead of sent twice. A service may say who sends it, under which id and when; the same id
/// with the same content is returned, with other content it is a 409.
#[utoipa::path(
    post,
    path = "/api/conversations/{id}/messages",
    tag = "Chat",
    params(("id" = String, Path, description = "The conversation.")),
    request_body = Draft,
    responses(
        (status = 201, description = "Sent.", body = MessageAnswer),
        (
            status = 200,
            description = "The message of this id, which was sent before.",
            body = MessageAnswer,
        ),
        NoConversation, Archived, NoPerson,
    )
)]
async fn send_message(
    State(chat): State<ChatService>,
    caller: NamingCaller,
    Path(id): Path<Id>,
    Body(mut draft): Body<Draft>,
) -> Result<(StatusCode, Extension<Subject>, Json<MessageAnswer>)> {
    let sender = caller.named(draft.sender_id.take(), "/senderId")?;
    answer(chat.send(sender, id, draft), |(message, created)| {
        let subject = Subject(message.id.clone());
        (made(created), Extension(subject), Json(MessageAnswer { message }))
    })
    .await
}

/// Edits a message.
///
/// Only its sender may. Everyone in the conversation is told of the new text.
#[utoipa::path(
    patch,
    path = "/api/messages/{id}",
    tag = "Chat",
    params(("id" = String, Path, description = "The message.")),
    request_body = EditMessage,
    responses(
        (status = 200, description = "The message with its new text.", body = MessageAnswer),
        NoMessage, Deleted, NoPerson,
    )
)]
async fn edit_message(
    State(chat): State<ChatService>,
    caller: Caller,
    Path(id): Path<Id>,
    ValidBody(edit): ValidBody<EditMessage>,
) -> Result<Json<MessageAnswer>> {
    let message = chat.edit(caller.identity, id, edit.content).await?;
    Ok(Json(MessageAnswer { message }))
}

/// Deletes a message.
///
/// Its sender and admins may. The message stays in the conversation without its content,
/// attachments and metadata. Deleting it again changes nothing.
#[utoipa::path(
    delete,
    path = "/api/messages/{id}",
    tag = "Chat",
    params(("id" = String, Path, description = "The message.")),
    responses((status = 204, description = "Deleted."), NoMessage, NoPerson)
)]
async fn delete_message(
    State(chat): State<ChatService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<StatusCode> {
    chat.delete(caller.identity, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds the caller's reaction to a message.
///
/// Adding the same reaction again changes nothing. A message has only so many of one user, and so
/// many different ones; what goes beyond is a conflict, too.
#[utoipa::path(
    put,
    path = "/api/messages/{id}/reactions/{emoji}",
    tag = "Chat",
    params(
        ("id" = String, Path, description = "The message."),
        ("emoji" = String, Path, description = "One emoji of at most 32 bytes, or a `:short_code:`."),
    ),
    responses((status = 204, description = "Added."), NoMessage, Deleted, NoPerson)
)]
async fn add_reaction(
    State(chat): State<ChatService>,
    caller: Caller,
    Path((id, emoji)): Path<(Id, String)>,
) -> Result<StatusCode> {
    chat.react(caller.identity, id, emoji, ReactionAction::Added).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes the caller's reaction from a message.
///
/// Removing a reaction that the caller has not given changes nothing.
#[utoipa::path(
    delete,
    path = "/api/messages/{id}/reactions/{emoji}",
    tag = "Chat",
    params(
        ("id" = String, Path, description = "The message."),
        ("emoji" = String, Path, description = "The reaction."),
    ),
    responses((status = 204, description = "Removed."), NoMessage, Deleted, NoPerson)
)]
async fn remove_reaction(
    State(chat): State<ChatService>,
    caller: Caller,
    Path((id, emoji)): Path<(Id, String)>,
) -> Result<StatusCode> {
    chat.react(caller.identity, id, emoji, ReactionAction::Removed).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Marks messages as read.
///
/// All messages up to and including `messageId` count as read by the caller. Earlier ones change
/// nothing: what is read stays read.
#[utoipa::path(
    post,
    path = "/api/conversations/{id}/read",
    tag = "Chat",
    params(("id" = String, Path, description = "The conversation.")),
    request_body = MarkRead,
    responses(
        (
            status = 200,
            description = "How many messages that changed, and how many are left.",
            body = ReadResult,
        ),
        NoConversation, NoPerson,
    )
)]
async fn mark_read(
    State(chat): State<ChatService>,
    caller: Caller,
    Path(id): Path<Id>,
    Body(read): Body<MarkRead>,
) -> Result<Json<ReadResult>> {
    answer(chat.read(caller.identity, id, read.message_id), Json).await
}
