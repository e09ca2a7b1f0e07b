-- An event that several streams keep is here once, with all of its renderings; each of the streams
-- names it.
CREATE TABLE shared_events (
    id BYTEA NOT NULL PRIMARY KEY,
    wire TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX shared_events_by_age ON shared_events (created_at);

-- `shared` names the event whose share this is; `wire` is empty then. `subject` is what the event
-- shows and can change later, such as a message.
ALTER TABLE events ADD COLUMN shared BYTEA;
ALTER TABLE events ADD COLUMN subject TEXT;

CREATE INDEX events_by_age ON events (created_at);
CREATE INDEX events_by_subject ON events (subject, seq) WHERE subject IS NOT NULL;

-- `joined_seq` is where the conversation's stream stood when they came in: what it kept before is
-- not theirs.
ALTER TABLE participants ADD COLUMN joined_seq BIGINT NOT NULL DEFAULT 0;

UPDATE participants SET joined_seq = COALESCE((
    SELECT MAX(seq) FROM events
    WHERE stream = 'conversation/' || participants.conversation_id
        AND created_at < participants.joined_at
), 0)
WHERE joined_at > (SELECT created_at FROM conversations WHERE id = participants.conversation_id);
