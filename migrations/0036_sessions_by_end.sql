-- Those that somebody is connected to have no end yet: they begin and end without a place in the index.
DROP INDEX sessions_by_end;
CREATE INDEX sessions_by_end ON sessions (expires_at) WHERE expires_at IS NOT NULL;
