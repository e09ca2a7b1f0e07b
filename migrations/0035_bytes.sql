-- An event that shows what a row has names that in `source`, and keeps nothing of it: it is told again
-- as the row is by then. `wire` is empty then.
ALTER TABLE events ADD COLUMN source TEXT;

UPDATE events SET wire = '', subject = NULL, source = 'new ' || subject
WHERE subject IS NOT NULL AND shared IS NULL AND wire LIKE '%"event":"message:new"%'
    AND EXISTS (SELECT 1 FROM messages m
        WHERE m.id = events.subject AND events.stream = 'conversation/' || m.conversation_id);

UPDATE events SET wire = '', subject = NULL, source = 'edited ' || subject
WHERE subject IS NOT NULL AND shared IS NULL AND wire LIKE '%"event":"message:edited"%'
    AND EXISTS (SELECT 1 FROM messages m
        WHERE m.id = events.subject AND events.stream = 'conversation/' || m.conversation_id);

-- Up to which number a conversation's messages were given up for their age, and when the first was
-- written of those that are there; by that the old ones are found.
ALTER TABLE conversations ADD COLUMN gone BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN oldest_at BIGINT;

UPDATE conversations SET oldest_at = (
    SELECT m.created_at FROM messages m WHERE m.conversation_id = conversations.id AND m.ordinal = 1);

CREATE INDEX conversations_by_oldest ON conversations (oldest_at) WHERE oldest_at IS NOT NULL;

-- The messages and their reactions anew: numbers stand before texts, where they take the least, and only
-- messages with an id of their sender's own are in the index of those.
CREATE TABLE messages_anew (
    ordinal BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    sender_ordinal BIGINT NOT NULL,
    sender_previous BIGINT NOT NULL,
    edited_at BIGINT,
    deleted_at BIGINT,
    id TEXT NOT NULL PRIMARY KEY,
    conversation_id TEXT NOT NULL REFERENCES conversations (id),
    sender_id TEXT NOT NULL,
    first_name TEXT,
    last_name TEXT,
    content TEXT,
    attachments TEXT NOT NULL,
    metadata TEXT,
    reply_to TEXT,
    client_message_id TEXT,
    UNIQUE (conversation_id, ordinal)
);

INSERT INTO messages_anew
    (ordinal, created_at, sender_ordinal, sender_previous, edited_at, deleted_at, id, conversation_id,
     sender_id, first_name, last_name, content, attachments, metadata, reply_to, client_message_id)
SELECT ordinal, created_at, sender_ordinal, sender_previous, edited_at, deleted_at, id, conversation_id,
    sender_id, first_name, last_name, content, attachments,
    metadata, reply_to, client_message_id
FROM messages;

CREATE TABLE reactions_anew (
    message_id TEXT NOT NULL REFERENCES messages_anew (id),
    user_id TEXT NOT NULL,
    emoji TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (message_id, user_id, emoji)
);

INSERT INTO reactions_anew (message_id, user_id, emoji, created_at)
SELECT message_id, user_id, emoji, created_at FROM reactions;

DROP TABLE reactions;
DROP TABLE messages;
ALTER TABLE messages_anew RENAME TO messages;
ALTER TABLE reactions_anew RENAME TO reactions;

CREATE UNIQUE INDEX messages_by_own_id ON messages (conversation_id, sender_id, client_message_id)
    WHERE client_message_id IS NOT NULL;
CREATE INDEX messages_of_sender ON messages (conversation_id, sender_id, ordinal)
    WHERE sender_ordinal % 64 = 0;
CREATE INDEX messages_deleted ON messages (conversation_id, ordinal, sender_id, deleted_at)
    WHERE deleted_at IS NOT NULL;
CREATE INDEX reactions_by_emoji ON reactions (message_id, emoji);
CREATE INDEX reactions_by_user ON reactions (user_id, message_id, emoji);
