-- POST requests that carried an Idempotency-Key. `id` is the SHA-256 of caller, method, path and
-- key; `attempt` names who carries it out; without a `status` it still runs. A status without an
-- `answer` means that the answer was too large to be kept.
CREATE TABLE idempotency_keys (
    id BYTEA NOT NULL PRIMARY KEY,
    body_hash BYTEA NOT NULL,
    attempt TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    status BIGINT,
    content_type TEXT,
    answer BYTEA
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (started_at);
