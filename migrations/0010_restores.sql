-- Each time that the store was restored from a backup: streams go on after this number, which nobody
-- had heard of before.
CREATE TABLE restores (
    restored_at BIGINT NOT NULL,
    after_seq BIGINT NOT NULL
);
