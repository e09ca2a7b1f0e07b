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
    auth::{Authenticator, Caller},
    error::Result,
    http::{
        body::{Body, Path, Query, ValidBody},
        list::{List, Page},
    },
    id::Id,
    idempotency::{Subject, answer},
};

/// The routes.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    ChatService: FromRef<S>,
{
    OpenApiRouter::new()
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

/// Begins a conversation; the direct one of the same two people is given back.
#[utoipa::path(
    post,
    path = "/api/conversations",
    tag = "Chat",
    request_body = CreateConversation,
    responses(
        (status = 201, description = "It began.", body = ConversationAnswer),
        (status = 200, description = "The two have it already.", body = ConversationAnswer),
    )
)]
async fn create_conversation(
    State(chat): State<ChatService>,
    caller: Caller,
    ValidBody(request): ValidBody<CreateConversation>,
) -> Result<(StatusCode, Json<ConversationAnswer>)> {
    answer(chat.create(caller.identity, request), |(conversation, created)| {
        (made(created), Json(ConversationAnswer { conversation }))
    })
    .await
}

/// Lists the caller's conversations, newest activity first.
#[utoipa::path(
    get,
    path = "/api/conversations",
    tag = "Chat",
    params(Page),
    responses((status = 200, description = "A page of them.", body = List<ConversationView>))
)]
async fn list_conversations(
    State(chat): State<ChatService>,
    caller: Caller,
    page: Page,
) -> Result<List<ConversationView>> {
    chat.list(caller.identity, page).await
}

/// Tells of a conversation, to who takes part and to admins.
#[utoipa::path(
    get,
    path = "/api/conversations/{id}",
    tag = "Chat",
    params(("id" = String, Path, description = "The conversation.")),
    responses((status = 200, description = "The conversation.", body = ConversationView))
)]
async fn get_conversation(
    State(chat): State<ChatService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<ConversationView>> {
    Ok(Json(chat.get(caller.identity, id).await?))
}

/// Archives a conversation for everyone in it.
#[utoipa::path(
    post,
    path = "/api/conversations/{id}/archive",
    tag = "Chat",
    params(("id" = String, Path, description = "The conversation.")),
    responses((status = 204, description = "It is archived."))
)]
async fn archive_conversation(
    State(chat): State<ChatService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<StatusCode> {
    answer(chat.archive(caller.identity, id), |()| StatusCode::NO_CONTENT).await
}

/// Lists who takes part in a conversation, the first to come first.
#[utoipa::path(
    get,
    path = "/api/conversations/{id}/participants",
    tag = "Chat",
    params(("id" = String, Path, description = "The conversation."), Page),
    responses((status = 200, description = "A page of them.", body = List<Participant>))
)]
async fn list_participants(
    State(chat): State<ChatService>,
    caller: Caller,
    Path(id): Path<Id>,
    page: Page,
) -> Result<List<Participant>> {
    chat.participants(caller.identity, id, page).await
}

/// Lets people into a group.
#[utoipa::path(
    post,
    path = "/api/conversations/{id}/participants",
    tag = "Chat",
    params(("id" = String, Path, description = "The conversation.")),
    request_body = AddParticipants,
    responses((status = 200, description = "They are in.", body = ConversationAnswer))
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

/// Takes someone out of a group: oneself, or another by its creator or an admin.
#[utoipa::path(
    delete,
    path = "/api/conversations/{id}/participants/{userId}",
    tag = "Chat",
    params(
        ("id" = String, Path, description = "The conversation."),
        ("userId" = String, Path, description = "Who goes."),
    ),
    responses((status = 204, description = "They are out."))
)]
async fn remove_participant(
    State(chat): State<ChatService>,
    caller: Caller,
    Path((id, user)): Path<(Id, Id)>,
) -> Result<StatusCode> {
    chat.remove_participant(caller.identity, id, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists a conversation's messages, newest first; with `after` the next ones, oldest first.
#[utoipa::path(
    get,
    path = "/api/conversations/{id}/messages",
    tag = "Chat",
    params(("id" = String, Path, description = "The conversation."), Stretch, Page),
    responses((status = 200, description = "A page of messages.", body = List<Message>))
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

/// Writes a message; the same `clientMessageId` again gives the first one back.
#[utoipa::path(
    post,
    path = "/api/conversations/{id}/messages",
    tag = "Chat",
    params(("id" = String, Path, description = "The conversation.")),
    request_body = Draft,
    responses(
        (status = 201, description = "It was written.", body = MessageAnswer),
        (status = 200, description = "It had been written.", body = MessageAnswer),
    )
)]
async fn send_message(
    State(chat): State<ChatService>,
    caller: Caller,
    Path(id): Path<Id>,
    Body(draft): Body<Draft>,
) -> Result<(StatusCode, Extension<Subject>, Json<MessageAnswer>)> {
    answer(chat.send(caller.identity, id, draft), |(message, created)| {
        let subject = Subject(message.id.clone());
        (made(created), Extension(subject), Json(MessageAnswer { message }))
    })
    .await
}

/// Changes a message's text, for its author.
#[utoipa::path(
    patch,
    path = "/api/messages/{id}",
    tag = "Chat",
    params(("id" = String, Path, description = "The message.")),
    request_body = EditMessage,
    responses((status = 200, description = "It was changed.", body = MessageAnswer))
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

/// Takes a message's content away, for its author or an admin.
#[utoipa::path(
    delete,
    path = "/api/messages/{id}",
    tag = "Chat",
    params(("id" = String, Path, description = "The message.")),
    responses((status = 204, description = "Its content is gone."))
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
#[utoipa::path(
    put,
    path = "/api/messages/{id}/reactions/{emoji}",
    tag = "Chat",
    params(
        ("id" = String, Path, description = "The message."),
        ("emoji" = String, Path, description = "One emoji of at most 32 bytes, or a `:short_code:`."),
    ),
    responses((status = 204, description = "It is there."))
)]
async fn add_reaction(
    State(chat): State<ChatService>,
    caller: Caller,
    Path((id, emoji)): Path<(Id, String)>,
) -> Result<StatusCode> {
    chat.react(caller.identity, id, emoji, ReactionAction::Added).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the caller's reaction to a message back.
#[utoipa::path(
    delete,
    path = "/api/messages/{id}/reactions/{emoji}",
    tag = "Chat",
    params(
        ("id" = String, Path, description = "The message."),
        ("emoji" = String, Path, description = "The reaction."),
    ),
    responses((status = 204, description = "It is not there."))
)]
async fn remove_reaction(
    State(chat): State<ChatService>,
    caller: Caller,
    Path((id, emoji)): Path<(Id, String)>,
) -> Result<StatusCode> {
    chat.react(caller.identity, id, emoji, ReactionAction::Removed).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Notes up to which message the caller has read.
#[utoipa::path(
    post,
    path = "/api/conversations/{id}/read",
    tag = "Chat",
    params(("id" = String, Path, description = "The conversation.")),
    request_body = MarkRead,
    responses((status = 200, description = "What that changed.", body = ReadResult))
)]
async fn mark_read(
    State(chat): State<ChatService>,
    caller: Caller,
    Path(id): Path<Id>,
    Body(read): Body<MarkRead>,
) -> Result<Json<ReadResult>> {
    answer(chat.read(caller.identity, id, read.message_id), Json).await
}
