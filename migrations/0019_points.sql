-- What each user has: `points` now, `lifetime` for their level, and how many entries their ledger
-- has.
CREATE TABLE points_accounts (
    user_id TEXT NOT NULL PRIMARY KEY,
    points BIGINT NOT NULL,
    lifetime BIGINT NOT NULL,
    entries BIGINT NOT NULL
);

-- Everything that changed a user's points, in order, never changed afterwards; `balance` is what
-- they had then. `referred_user_id` is who brought a reward; `reference` may be empty there.
CREATE TABLE points_ledger (
    user_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    id TEXT NOT NULL,
    points BIGINT NOT NULL,
    balance BIGINT NOT NULL,
    reason TEXT NOT NULL,
    reference TEXT NOT NULL,
    referred_user_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, ordinal)
);

CREATE UNIQUE INDEX points_ledger_by_reference
    ON points_ledger (user_id, referred_user_id, reference);

-- The code that a user hands on, one for each.
CREATE TABLE referral_codes (
    code TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL UNIQUE
);

-- Who was referred by whom: the first who did.
CREATE TABLE referrals (
    referred_user_id TEXT NOT NULL PRIMARY KEY,
    referrer_id TEXT NOT NULL,
    name TEXT NOT NULL,
    joined_at BIGINT NOT NULL
);

CREATE INDEX referrals_of_referrer ON referrals (referrer_id, referred_user_id);
