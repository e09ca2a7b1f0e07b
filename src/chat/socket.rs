//! Chat by event, in both dialects.

use super::{
    events::{
        conversation::{
            ConversationJoined, ConversationLeft, JOIN_CONVERSATION, JoinConversation,
            LEAVE_CONVERSATION, MessageSent, SEND_MESSAGE, START_TYPING, STOP_TYPING, SendMessage,
            StartTyping, StopTyping,
        },
        marketplace::{
            JOIN_CHAT_ROOM, JoinChatRoom, LEAVE_CHAT_ROOM, StartChatTyping, StopChatTyping,
            TYPING_START, TYPING_STOP,
        },
    },
    requests::Draft,
    service::ChatService,
    typing::Typing,
};
use crate::{
    access::Access,
    error::{Error, Result},
    event::Success,
    http::fields::WithFurther,
    id::{GivenId, Id},
    limits::EventClass,
    realtime::{
        Commands, Connection, Entrance,
        events::{Done, RoomChanged},
    },
    room::Room,
};

/// What clients may ask here.
pub fn commands(access: &Access, chat: &ChatService, typing: &Typing, commands: &mut Commands) {
    rooms(access, typing, commands);
    let with = chat.clone();
    commands.on(&SEND_MESSAGE, EventClass::Message, move |connection, send| {
        let WithFurther { known: send, further }: WithFurther<SendMessage> = send;
        let chat = with.clone();
        async move {
            let caller = connection.known_identity()?;
            let draft = Draft {
                content: send.content,
                attachments: send.attachments,
                reply_to: send.reply_to,
                client_message_id: send.client_message_id,
                metadata: further.with(send.metadata),
            };
            let (message, _) = chat.send(caller, send.conversation_id, draft).await?;
            Ok(MessageSent { success: Success, message })
        }
    });
    let with = typing.clone();
    commands.on(&START_TYPING, EventClass::Typing, move |connection, start: StartTyping| {
        let started = with.start(&connection, start.conversation_id, start.user_name);
        async move { started.map(|()| Done::default()) }
    });
    let with = typing.clone();
    commands.on(&STOP_TYPING, EventClass::Typing, move |connection, stop: StopTyping| {
        let stopped = with.stop(&connection, stop.conversation_id);
        async move { stopped.map(|()| Done::default()) }
    });
    let with = typing.clone();
    commands.on(&TYPING_START, EventClass::Typing, move |connection, start: StartChatTyping| {
        let started = own(&connection, &start.user_id)
            .and_then(|()| with.start(&connection, start.chat_id, start.user_name));
        async move { started.map(|()| Done::default()) }
    });
    let with = typing.clone();
    commands.on(&TYPING_STOP, EventClass::Typing, move |connection, stop: StopChatTyping| {
        let stopped =
            own(&connection, &stop.user_id).and_then(|()| with.stop(&connection, stop.chat_id));
        async move { stopped.map(|()| Done::default()) }
    });
}

fn rooms(access: &Access, typing: &Typing, commands: &mut Commands) {
    let with = access.clone();
    commands.on(&JOIN_CONVERSATION, EventClass::Join, move |connection, join: JoinConversation| {
        let access = with.clone();
        async move {
            let (conversation_id, since) = join.into_parts();
            let room = Room::Conversation(conversation_id.id().clone());
            let entrance = Entrance { room: room.clone(), since };
            let position = access.enter_from(&connection, entrance).await?;
            Ok(ConversationJoined { success: Success, conversation_id, room, position })
        }
    });
    let with = access.clone();
    commands.on(&JOIN_CHAT_ROOM, EventClass::Join, move |connection, join: JoinChatRoom| {
        let access = with.clone();
        async move {
            let (chat_id, since) = join.into_parts();
            access.change(&connection, Room::Chat(chat_id), since).await
        }
    });
    let with = typing.clone();
    commands.on(&LEAVE_CONVERSATION, EventClass::Join, move |connection, given: GivenId| {
        with.leave(&connection, given.id());
        connection.leave(&Room::Conversation(given.id().clone()));
        async move { Ok(ConversationLeft { success: Success, conversation_id: given }) }
    });
    let with = typing.clone();
    commands.on(&LEAVE_CHAT_ROOM, EventClass::Join, move |connection, id: Id| {
        with.leave(&connection, &id);
        let room = Room::Chat(id);
        connection.leave(&room);
        async move { Ok(RoomChanged::of(room)) }
    });
}

/// What a client says of itself is checked, never believed.
fn own(connection: &Connection, user: &Id) -> Result<()> {
    if connection.known_identity()?.user_id == *user { Ok(()) } else { Err(Error::forbidden()) }
}
