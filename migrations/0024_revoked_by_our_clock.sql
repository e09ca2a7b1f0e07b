-- Two moments of a revocation: before the one tokens were issued by what they say, before the other by this
-- server's clock, which that of another maker may be ahead of.
ALTER TABLE revocations ADD COLUMN older_than BIGINT NOT NULL DEFAULT 0;
