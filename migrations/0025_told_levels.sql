-- The highest level that a user was told of: after a correction it is not told of again.
ALTER TABLE points_accounts ADD COLUMN told_level BIGINT NOT NULL DEFAULT 0;
