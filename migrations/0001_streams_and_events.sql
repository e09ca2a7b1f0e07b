-- Where each stream of events stands. `epoch` changes when a stream starts anew.
CREATE TABLE streams (
    stream TEXT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    epoch TEXT NOT NULL
);

-- The kept events; `wire` is the JSON list of what is sent.
CREATE TABLE events (
    stream TEXT NOT NULL,
    seq BIGINT NOT NULL,
    wire TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (stream, seq)
);

-- One row, written to find out whether the store takes writes.
CREATE TABLE heartbeat (
    id BIGINT NOT NULL PRIMARY KEY,
    beat_at BIGINT NOT NULL
);
