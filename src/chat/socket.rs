//! Chat by event, in both dialects.

use std::sync::Arc;

use super::{
    events::{
        conversation::{
            self, ConversationJoined, ConversationLeft, JoinConversation, MessageSent, SendMessage,
            StartTyping, StopTyping,
        },
        marketplace::{self, JoinChatRoom, StartChatTyping, StopChatTyping},
    },
    requests::Draft,
    service::ChatService,
    typing::Typing,
};
use crate::{
    access::Access,
    auth::Actor,
    error::{Error, Result},
    event::Success,
    id::{GivenId, Id},
    realtime::{
        Commands, Connection, JoinRequest,
        events::{Done, RoomChanged},
    },
    rest::fields::WithFurther,
    room::Room,
};

/// What clients may ask here.
pub fn commands(access: &Access, chat: &ChatService, typing: &Typing, commands: &mut Commands) {
    commands.on(conversation::JOIN_CONVERSATION, access, join_conversation);
    commands.on(conversation::LEAVE_CONVERSATION, typing, leave_conversation);
    commands.on_or_elsewhere(conversation::SEND_MESSAGE, chat, send_message, is_elsewhere);
    commands.on(conversation::START_TYPING, typing, start_typing);
    commands.on(conversation::STOP_TYPING, typing, stop_typing);
    commands.on(marketplace::JOIN_CHAT_ROOM, access, join_chat_room);
    commands.on(marketplace::LEAVE_CHAT_ROOM, typing, leave_chat_room);
    commands.on(marketplace::START_TYPING, typing, start_chat_typing);
    commands.on(marketplace::STOP_TYPING, typing, stop_chat_typing);
}

async fn join_conversation(
    access: Access,
    connection: Arc<Connection>,
    join: JoinConversation,
) -> Result<ConversationJoined> {
    let (conversation_id, since) = join.into_parts();
    let room = Room::Conversation(conversation_id.id().clone());
    let join = JoinRequest { room: room.clone(), since };
    let position = access.join_with_replay(&connection, join).await?;
    Ok(ConversationJoined { success: Success, conversation_id, room, position })
}

async fn leave_conversation(
    typing: Typing,
    connection: Arc<Connection>,
    conversation_id: GivenId,
) -> Result<ConversationLeft> {
    typing.leave(&connection, conversation_id.id());
    connection.leave(&Room::Conversation(conversation_id.id().clone()));
    Ok(ConversationLeft { success: Success, conversation_id })
}

async fn send_message(
    chat: ChatService,
    connection: Arc<Connection>,
    WithFurther { known: send, further }: WithFurther<SendMessage>,
) -> Result<MessageSent> {
    let caller = connection.known_identity()?;
    let draft = Draft {
        content: send.content,
        attachments: send.attachments,
        reply_to: send.reply_to,
        client_message_id: send.client_message_id,
        metadata: further.with(send.metadata),
        id: None,
        created_at: None,
        sender_id: None,
    };
    let actor = Actor { identity: caller, by_service: false };
    let (message, _) = chat.send(actor, send.conversation_id, draft).await?;
    Ok(MessageSent { success: Success, message })
}

/// Whether a message is for a conversation that is not kept here.
async fn is_elsewhere(
    chat: ChatService,
    _: Arc<Connection>,
    WithFurther { known: send, .. }: WithFurther<SendMessage>,
) -> Result<bool> {
    Ok(!chat.keeps(send.conversation_id).await?)
}

async fn start_typing(
    typing: Typing,
    connection: Arc<Connection>,
    start: StartTyping,
) -> Result<Done> {
    typing.start(&connection, start.conversation_id, start.user_name)?;
    Ok(Done::default())
}

async fn stop_typing(
    typing: Typing,
    connection: Arc<Connection>,
    stop: StopTyping,
) -> Result<Done> {
    typing.stop(&connection, stop.conversation_id)?;
    Ok(Done::default())
}

async fn join_chat_room(
    access: Access,
    connection: Arc<Connection>,
    join: JoinChatRoom,
) -> Result<RoomChanged> {
    let (chat_id, since) = join.into_parts();
    access.join_since(&connection, Room::Chat(chat_id), since).await
}

async fn leave_chat_room(
    typing: Typing,
    connection: Arc<Connection>,
    chat_id: Id,
) -> Result<RoomChanged> {
    typing.leave(&connection, &chat_id);
    let room = Room::Chat(chat_id);
    connection.leave(&room);
    Ok(RoomChanged::of(room))
}

async fn start_chat_typing(
    typing: Typing,
    connection: Arc<Connection>,
    start: StartChatTyping,
) -> Result<Done> {
    check_own(&connection, &start.user_id)?;
    typing.start(&connection, start.chat_id, start.user_name)?;
    Ok(Done::default())
}

async fn stop_chat_typing(
    typing: Typing,
    connection: Arc<Connection>,
    stop: StopChatTyping,
) -> Result<Done> {
    check_own(&connection, &stop.user_id)?;
    typing.stop(&connection, stop.chat_id)?;
    Ok(Done::default())
}

/// What a client says of itself is checked, never believed.
fn check_own(connection: &Connection, user: &Id) -> Result<()> {
    if connection.known_identity()?.user_id == *user { Ok(()) } else { Err(Error::forbidden()) }
}
