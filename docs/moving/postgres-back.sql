-- Takes what `stoa export` wrote into the schema that postgres.sql reads:
--
--   psql "$OTHER" -v ON_ERROR_STOP=1 -f postgres-back.sql < lines.jsonl
--
-- Conversations and messages come with who takes part, what they have read, reactions and files; users are
-- your backend's, and stay. A message that was written here gets a number of its own there, which
-- `stoa_messages` keeps, so that all this can be done again.

BEGIN;

CREATE TEMP TABLE lines (line JSONB NOT NULL) ON COMMIT DROP;
\copy lines FROM pstdin WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')

CREATE TABLE IF NOT EXISTS stoa_messages (name TEXT PRIMARY KEY, id BIGINT NOT NULL UNIQUE);
DO $$ BEGIN PERFORM setval(pg_get_serial_sequence('messages', 'id'),
    GREATEST(nextval(pg_get_serial_sequence('messages', 'id')), (SELECT MAX(id) FROM messages)));
END $$;
INSERT INTO stoa_messages
SELECT name, CASE
    WHEN name ~ '^[0-9]{1,18}$' THEN name::bigint
    ELSE nextval(pg_get_serial_sequence('messages', 'id')) END
FROM (
    SELECT line ->> 'id' AS name FROM lines WHERE line ->> 'type' = 'message'
    ORDER BY line ->> 'createdAt', (line ->> 'number')::bigint) written
ON CONFLICT (name) DO NOTHING;

CREATE TEMP TABLE written ON COMMIT DROP AS
SELECT s.id, (line ->> 'conversationId')::uuid AS conversation_id,
    (line ->> 'number')::bigint AS number, line
FROM lines JOIN stoa_messages s ON s.name = line ->> 'id'
WHERE line ->> 'type' = 'message';
CREATE INDEX ON written (conversation_id, number);

INSERT INTO conversations (id, is_group, title, created_by, created_at)
SELECT (line ->> 'id')::uuid, line ->> 'kind' = 'group', line ->> 'title',
    (line ->> 'createdBy')::bigint, (line ->> 'createdAt')::timestamptz
FROM lines WHERE line ->> 'type' = 'conversation'
ON CONFLICT (id) DO UPDATE SET title = EXCLUDED.title;

INSERT INTO messages
    (id, conversation_id, sender_id, body, reply_to_id, created_at, edited_at, deleted_at)
SELECT w.id, w.conversation_id, (line ->> 'senderId')::bigint, NULLIF(line ->> 'content', ''),
    answered.id, (line ->> 'createdAt')::timestamptz, (line ->> 'editedAt')::timestamptz,
    (line ->> 'deletedAt')::timestamptz
FROM written w LEFT JOIN stoa_messages answered ON answered.name = line ->> 'replyTo'
ON CONFLICT (id) DO UPDATE SET
    body = EXCLUDED.body, edited_at = EXCLUDED.edited_at, deleted_at = EXCLUDED.deleted_at;

-- What was taken back is taken back there, too.
DELETE FROM attachments a USING written w WHERE a.message_id = w.id AND w.line ->> 'deletedAt' <> '';
INSERT INTO attachments (message_id, url, file_name, mime_type, size_bytes)
SELECT w.id, file ->> 'url', file ->> 'name', file ->> 'mimeType', (file ->> 'size')::bigint
FROM written w CROSS JOIN jsonb_array_elements(line -> 'attachments') file
WHERE NOT EXISTS (SELECT 1 FROM attachments a WHERE a.message_id = w.id);

DELETE FROM message_reactions r USING written w WHERE r.message_id = w.id;
INSERT INTO message_reactions (message_id, user_id, emoji, created_at)
SELECT w.id, (given ->> 'userId')::bigint, given ->> 'emoji', (given ->> 'createdAt')::timestamptz
FROM written w CROSS JOIN jsonb_array_elements(line -> 'reactions') given;

DELETE FROM conversation_participants p USING lines l
WHERE l.line ->> 'type' = 'conversation' AND p.conversation_id = (l.line ->> 'id')::uuid;
INSERT INTO conversation_participants (conversation_id, user_id, joined_at, last_read_message_id)
SELECT (l.line ->> 'id')::uuid, (person ->> 'userId')::bigint, (person ->> 'joinedAt')::timestamptz, (
    SELECT w.id FROM written w
    WHERE w.conversation_id = (l.line ->> 'id')::uuid
        AND w.number <= (person ->> 'lastRead')::bigint
    ORDER BY w.number DESC LIMIT 1)
FROM lines l CROSS JOIN jsonb_array_elements(l.line -> 'participants') person
WHERE l.line ->> 'type' = 'conversation';

COMMIT;
