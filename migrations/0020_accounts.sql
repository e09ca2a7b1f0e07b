-- People who signed up here. `email` is in lower case, `roles` are words with a space between them,
-- `password_hash` is a PHC string of the password of that number, the first of which is 1.
CREATE TABLE accounts (
    user_id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    roles TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    password_number BIGINT NOT NULL
);

CREATE UNIQUE INDEX accounts_by_email ON accounts (email);

-- What became of one sign-in: a refresh token after the other. A token is the family's key, the same
-- in all of them, and its turn; of both only the SHA-256 is kept. Who has the key and another turn
-- than the last has a token that was used before. `access_ends_at` is when the last of its access
-- tokens ends.
CREATE TABLE refresh_families (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES accounts (user_id),
    key_hash BYTEA NOT NULL,
    turn_hash BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    access_ends_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX refresh_families_by_key ON refresh_families (key_hash);
CREATE INDEX refresh_families_by_user ON refresh_families (user_id, used_at, id);
CREATE INDEX refresh_families_by_end ON refresh_families (expires_at);

-- Tokens that set a new password. One for an address that nobody has is of no user.
CREATE TABLE password_resets (
    token_hash BYTEA NOT NULL PRIMARY KEY,
    user_id TEXT REFERENCES accounts (user_id),
    expires_at BIGINT NOT NULL
);

CREATE INDEX password_resets_by_user ON password_resets (user_id);
CREATE INDEX password_resets_by_end ON password_resets (expires_at);
