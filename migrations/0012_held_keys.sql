-- When whoever carries a request out took its place, or last did some of the work: by the clock of the
-- database, which all of them have in common. Without it that was long ago.
ALTER TABLE idempotency_keys ADD COLUMN held_at BIGINT;
