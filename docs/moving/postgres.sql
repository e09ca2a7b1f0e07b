-- Makes lines for `stoa import` of a usual schema of a chat:
--
--   psql "$OTHER" -XAt -f postgres.sql > lines.jsonl
--
-- Ids are told as text, times in UTC with milliseconds.

SELECT json_build_object(
    'type', 'user', 'id', u.id::text,
    'profile', json_build_object(
        'firstName', NULLIF(u.first_name, ''), 'lastName', NULLIF(u.last_name, ''),
        'email', u.email, 'avatarUrl', u.avatar_url))
FROM users u ORDER BY u.id;

SELECT json_build_object(
    'type', 'conversation', 'id', c.id::text,
    'kind', CASE WHEN c.is_group THEN 'group' ELSE 'direct' END, 'title', NULLIF(c.title, ''),
    'createdBy', c.created_by::text,
    'createdAt', to_char(c.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'participants', (
        SELECT COALESCE(json_agg(json_build_object(
            'userId', p.user_id::text,
            'joinedAt', to_char(p.joined_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'lastReadMessageId', p.last_read_message_id::text) ORDER BY p.joined_at, p.user_id), '[]')
        FROM conversation_participants p WHERE p.conversation_id = c.id))
FROM conversations c ORDER BY c.id;

SELECT json_build_object(
    'type', 'message', 'id', m.id::text, 'conversationId', m.conversation_id::text,
    'senderId', m.sender_id::text, 'content', COALESCE(m.body, ''), 'replyTo', m.reply_to_id::text,
    'attachments', (
        SELECT COALESCE(json_agg(json_build_object(
            'url', a.url, 'name', a.file_name, 'mimeType', a.mime_type, 'size', a.size_bytes)
            ORDER BY a.id), '[]')
        FROM attachments a WHERE a.message_id = m.id),
    'reactions', (
        SELECT COALESCE(json_agg(json_build_object(
            'emoji', r.emoji, 'userId', r.user_id::text,
            'createdAt', to_char(r.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
            ORDER BY r.created_at), '[]')
        FROM message_reactions r WHERE r.message_id = m.id),
    'createdAt', to_char(m.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'editedAt', to_char(m.edited_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'deletedAt', to_char(m.deleted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
FROM messages m ORDER BY m.id;
