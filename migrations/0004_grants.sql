-- Rights to enter a room, given by a backend service or an admin.
CREATE TABLE grants (
    room TEXT NOT NULL,
    user_id TEXT NOT NULL,
    granted_by TEXT NOT NULL,
    granted_at BIGINT NOT NULL,
    PRIMARY KEY (room, user_id)
);
