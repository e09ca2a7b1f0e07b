-- Since a restore every stream is in the epoch of the last one, and its numbers are `after_seq` and
-- what it counts: a restore changes no row of `streams`.
ALTER TABLE restores ADD COLUMN epoch TEXT;

UPDATE streams SET seq = seq - (SELECT MAX(after_seq) FROM restores)
WHERE EXISTS (SELECT 1 FROM restores);
