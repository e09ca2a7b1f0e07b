-- A usual schema of a chat, with a little in it, for `postgres.sql` to be tried on.
CREATE TABLE users (
    id BIGSERIAL PRIMARY KEY, first_name TEXT, last_name TEXT, email TEXT UNIQUE, avatar_url TEXT,
    password_digest TEXT, created_at TIMESTAMPTZ NOT NULL DEFAULT now());
CREATE TABLE conversations (
    id UUID PRIMARY KEY, is_group BOOLEAN NOT NULL, title TEXT,
    created_by BIGINT NOT NULL REFERENCES users, created_at TIMESTAMPTZ NOT NULL);
CREATE TABLE messages (
    id BIGSERIAL PRIMARY KEY, conversation_id UUID NOT NULL REFERENCES conversations,
    sender_id BIGINT NOT NULL REFERENCES users, body TEXT, reply_to_id BIGINT REFERENCES messages,
    created_at TIMESTAMPTZ NOT NULL, edited_at TIMESTAMPTZ, deleted_at TIMESTAMPTZ);
CREATE TABLE conversation_participants (
    conversation_id UUID REFERENCES conversations, user_id BIGINT REFERENCES users,
    joined_at TIMESTAMPTZ NOT NULL, last_read_message_id BIGINT REFERENCES messages,
    PRIMARY KEY (conversation_id, user_id));
CREATE TABLE attachments (
    id BIGSERIAL PRIMARY KEY, message_id BIGINT NOT NULL REFERENCES messages, url TEXT NOT NULL,
    file_name TEXT, mime_type TEXT, size_bytes BIGINT);
CREATE TABLE message_reactions (
    message_id BIGINT REFERENCES messages, user_id BIGINT REFERENCES users, emoji TEXT,
    created_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (message_id, user_id, emoji));

INSERT INTO users (id, first_name, last_name, email) VALUES
    (1, 'Ann', 'Ames', 'ann@example.org'), (2, 'Bob', '', 'bob@example.org');
INSERT INTO conversations VALUES
    ('0e6b8a4c-5f0c-4a2b-8c4d-5e6f70820001', false, NULL, 1, '2020-05-01 12:00:00+02');
INSERT INTO messages (id, conversation_id, sender_id, body, reply_to_id, created_at, edited_at, deleted_at) VALUES
    (1, '0e6b8a4c-5f0c-4a2b-8c4d-5e6f70820001', 1, 'Hello Bob', NULL, '2020-05-01 12:00:30+02', NULL, NULL),
    (2, '0e6b8a4c-5f0c-4a2b-8c4d-5e6f70820001', 2, E'Do you have "the" \\ file?\nIt is due.', 1, '2020-05-01 12:01:00.007+02', '2020-05-01 12:01:30+02', NULL),
    (3, '0e6b8a4c-5f0c-4a2b-8c4d-5e6f70820001', 1, 'gone', NULL, '2020-05-01 12:01:40+02', NULL, '2020-05-01 12:01:50+02'),
    (4, '0e6b8a4c-5f0c-4a2b-8c4d-5e6f70820001', 1, NULL, NULL, '2020-05-01 12:02:00+02', NULL, NULL);
INSERT INTO conversation_participants VALUES
    ('0e6b8a4c-5f0c-4a2b-8c4d-5e6f70820001', 1, '2020-05-01 12:00:00+02', 4),
    ('0e6b8a4c-5f0c-4a2b-8c4d-5e6f70820001', 2, '2020-05-01 12:00:00+02', 2);
INSERT INTO attachments (message_id, url, file_name, mime_type, size_bytes) VALUES
    (4, 'https://example.org/a.pdf', 'a.pdf', 'application/pdf', 1200);
INSERT INTO message_reactions VALUES (1, 2, '👋', '2020-05-01 12:00:40+02');
