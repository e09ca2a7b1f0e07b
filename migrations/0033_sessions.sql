-- What a client finds again that comes back: its session, by a hash of the secret id that it was told.
-- `began` is how far events had been sent when it began; `expires_at` is none as long as somebody is
-- connected, or nobody saw the end.
CREATE TABLE sessions (
    pid BYTEA NOT NULL PRIMARY KEY,
    socket TEXT NOT NULL,
    user_id TEXT NOT NULL,
    namespace TEXT NOT NULL,
    generation BIGINT NOT NULL DEFAULT 1,
    began TEXT NOT NULL,
    began_at BIGINT NOT NULL,
    expires_at BIGINT
);

CREATE INDEX sessions_by_end ON sessions (expires_at);

-- What began up to then is over: not all that became of it was written, or the store was restored.
ALTER TABLE positions ADD COLUMN sessions_after BIGINT NOT NULL DEFAULT 0;

-- The rooms that it is in. What is up to `joined` is not missed there. With `caught_up` = 1 it was sent
-- by a replay, which says nothing of how far the client got before events after it arrived.
CREATE TABLE session_rooms (
    pid BYTEA NOT NULL,
    room TEXT NOT NULL,
    joined TEXT NOT NULL,
    caught_up BIGINT NOT NULL,
    PRIMARY KEY (pid, room)
);
