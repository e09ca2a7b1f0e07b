-- What is known of people: what a backend told, or the names of the newest token with which they acted.
-- `named_at` is when the names were told, or that token issued; 0 where that is not known.
CREATE TABLE profiles (
    user_id TEXT NOT NULL PRIMARY KEY,
    first_name TEXT,
    last_name TEXT,
    name TEXT,
    avatar_url TEXT,
    email TEXT,
    roles TEXT NOT NULL,
    named_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Those who take part in conversations were known in each of them by names of their own.
INSERT INTO profiles (user_id, first_name, last_name, roles, named_at, updated_at)
    SELECT user_id, first_name, last_name, '[]', 0, joined_at FROM (
        SELECT user_id, first_name, last_name, joined_at, ROW_NUMBER() OVER (
            PARTITION BY user_id ORDER BY joined_at DESC, conversation_id) AS nth
        FROM participants WHERE first_name IS NOT NULL OR last_name IS NOT NULL) AS named
    WHERE nth = 1;

ALTER TABLE participants DROP COLUMN first_name;
ALTER TABLE participants DROP COLUMN last_name;

-- Tokens that are revoked: one by a hash of its id, or all of a user, or of everyone (whose subject is
-- empty), that were issued before a moment. Kept until none of them can hold any more.
CREATE TABLE revocations (
    kind TEXT NOT NULL CHECK (kind IN ('token', 'user', 'everyone')),
    subject TEXT NOT NULL,
    issued_before BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    PRIMARY KEY (kind, subject)
);

CREATE INDEX revocations_by_end ON revocations (ends_at);

-- Users who are shut out, until a moment or until somebody lets them in again.
CREATE TABLE blocks (
    user_id TEXT NOT NULL PRIMARY KEY,
    since BIGINT NOT NULL,
    ends_at BIGINT,
    reason TEXT,
    blocked_by TEXT NOT NULL
);

CREATE INDEX blocks_by_end ON blocks (ends_at);
