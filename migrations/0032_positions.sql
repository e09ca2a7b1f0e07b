-- Where each kept event stands in the order of all of them; in several streams it is the same event,
-- and has one position. Those that were there before stand in the order of their age, below all others.
ALTER TABLE events ADD COLUMN position BIGINT NOT NULL DEFAULT 0;

UPDATE events SET position = created_at - 1000000000000000;

CREATE INDEX events_by_position ON events (position);

-- The position taken last: SQLite counts in the row, Postgres takes the next of the column's sequence.
-- And up to which position events have been given up for their age.
CREATE TABLE positions (
    last BIGSERIAL NOT NULL,
    pruned BIGINT NOT NULL DEFAULT 0
);

INSERT INTO positions (last) VALUES (0);

-- What several streams share has the position of the event.
ALTER TABLE shared_events ADD COLUMN position BIGINT NOT NULL DEFAULT 0;

UPDATE shared_events SET position = created_at - 1000000000000000;

CREATE INDEX shared_events_by_position ON shared_events (position);

-- They are found by their age in the order of their positions.
DROP INDEX events_by_age;
DROP INDEX shared_events_by_age;
