-- Who was connected, and in which rooms, for as long as events are kept: so that it can be said whether
-- somebody heard one. What goes on stands in `sessions` and `session_rooms`; when it is over it is moved
-- here, off the way of events. `began`, `restored` and `ended` are how far events had been sent then, as
-- offsets; `heard` is the offset that the client showed when it came back.
ALTER TABLE sessions ADD COLUMN came_at BIGINT;
ALTER TABLE sessions ADD COLUMN heard TEXT;
ALTER TABLE sessions ADD COLUMN restored TEXT;
ALTER TABLE sessions ADD COLUMN ended TEXT;
ALTER TABLE sessions ADD COLUMN ended_at BIGINT;
ALTER TABLE sessions ADD COLUMN reason TEXT;
CREATE INDEX sessions_by_user ON sessions (user_id, began_at);

-- When it was entered first; `joined` moves on with each replay.
ALTER TABLE session_rooms ADD COLUMN entered TEXT;
ALTER TABLE session_rooms ADD COLUMN entered_at BIGINT;

-- A connection that has ended, of each generation of a session.
CREATE TABLE past_connections (
    pid BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    socket TEXT NOT NULL,
    user_id TEXT NOT NULL,
    namespace TEXT NOT NULL,
    began TEXT NOT NULL,
    began_at BIGINT NOT NULL,
    heard TEXT,
    restored TEXT,
    ended TEXT,
    ended_at BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (pid, generation)
);
CREATE INDEX past_connections_by_user ON past_connections (user_id, ended_at);
CREATE INDEX past_connections_by_end ON past_connections (ended_at);

-- A stay of a session in a room that is over.
CREATE TABLE past_rooms (
    pid BYTEA NOT NULL,
    room TEXT NOT NULL,
    entered TEXT NOT NULL,
    entered_at BIGINT NOT NULL,
    left_after TEXT,
    left_at BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (pid, entered_at, room)
);
CREATE INDEX past_rooms_by_end ON past_rooms (left_at);

-- What a session fetched of a room's stream with `since`: the numbers after `since` up to `upto`.
CREATE TABLE past_replays (
    pid BYTEA NOT NULL,
    room TEXT NOT NULL,
    since BIGINT NOT NULL,
    upto BIGINT NOT NULL,
    replayed_at BIGINT NOT NULL,
    PRIMARY KEY (pid, replayed_at, room)
);
CREATE INDEX past_replays_by_age ON past_replays (replayed_at);

-- Up to which position nothing of this was noted.
ALTER TABLE positions ADD COLUMN past_after BIGINT NOT NULL DEFAULT -4611686018427387904;
UPDATE positions SET past_after = COALESCE((SELECT MAX(position) FROM events), past_after);
