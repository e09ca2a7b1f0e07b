-- The processes that work with the store side by side, and when each was last there. What only one has that
-- is not seen any more is over: its sessions.
CREATE TABLE nodes (
    id TEXT NOT NULL PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

-- Who is connected to a session, where there may be several.
ALTER TABLE sessions ADD COLUMN node TEXT;
CREATE INDEX sessions_by_node ON sessions (node) WHERE node IS NOT NULL AND expires_at IS NULL;
