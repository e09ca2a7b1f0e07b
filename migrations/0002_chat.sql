-- Conversations. `messages` counts the messages ever written: it orders them in commit order, and
-- its row is held by every unit that changes the conversation. `direct_key` is the sorted pair of a
-- direct conversation that is not archived.
CREATE TABLE conversations (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('direct', 'group')),
    title TEXT,
    metadata TEXT NOT NULL,
    direct_key TEXT UNIQUE,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    archived_at BIGINT,
    messages BIGINT NOT NULL,
    last_activity_at BIGINT NOT NULL
);

-- Who takes part. Names are those of the user's token when they last acted; `last_read` is the
-- number of the last message that they have read or that was there before them.
CREATE TABLE participants (
    conversation_id TEXT NOT NULL REFERENCES conversations (id),
    user_id TEXT NOT NULL,
    first_name TEXT,
    last_name TEXT,
    joined_at BIGINT NOT NULL,
    last_read BIGINT NOT NULL,
    last_read_message_id TEXT,
    PRIMARY KEY (conversation_id, user_id)
);

CREATE INDEX participants_by_user ON participants (user_id);

-- Messages, numbered from 1 in their conversation. `content` goes when the message is deleted.
CREATE TABLE messages (
    id TEXT NOT NULL PRIMARY KEY,
    conversation_id TEXT NOT NULL REFERENCES conversations (id),
    ordinal BIGINT NOT NULL,
    sender_id TEXT NOT NULL,
    first_name TEXT,
    last_name TEXT,
    content TEXT,
    attachments TEXT NOT NULL,
    reply_to TEXT,
    client_message_id TEXT,
    created_at BIGINT NOT NULL,
    edited_at BIGINT,
    deleted_at BIGINT,
    UNIQUE (conversation_id, ordinal),
    UNIQUE (conversation_id, sender_id, client_message_id)
);

CREATE TABLE reactions (
    message_id TEXT NOT NULL REFERENCES messages (id),
    user_id TEXT NOT NULL,
    emoji TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (message_id, user_id, emoji)
);
