-- Payments. Amounts are decimals as text; `received` is what has come so far. `wallet` and what
-- follows it are the provider's invoice; `webhook_token` is the part of its callback's path that
-- nobody else knows.
CREATE TABLE payments (
    id TEXT NOT NULL PRIMARY KEY,
    request_id TEXT NOT NULL REFERENCES purchase_requests (id),
    buyer_id TEXT NOT NULL,
    seller_id TEXT NOT NULL,
    provider TEXT NOT NULL CHECK (provider IN ('shkeeper', 'decentralized')),
    amount TEXT NOT NULL,
    currency TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'partial', 'confirmed', 'failed')),
    escrow_state TEXT CHECK (escrow_state IN ('held', 'released', 'refunded')),
    tx_hash TEXT,
    received TEXT NOT NULL,
    ledger_entries BIGINT NOT NULL,
    crypto TEXT,
    wallet TEXT,
    crypto_amount TEXT,
    exchange_rate TEXT,
    display_name TEXT,
    webhook_token TEXT UNIQUE,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- One of each provider is under way at a time, and a transaction that somebody names pays once.
CREATE UNIQUE INDEX payments_under_way ON payments (request_id, provider)
    WHERE status IN ('pending', 'partial');
CREATE UNIQUE INDEX payments_by_transaction ON payments (tx_hash)
    WHERE provider = 'decentralized';
CREATE INDEX payments_by_tx_hash ON payments (tx_hash);
CREATE INDEX payments_by_request ON payments (request_id, id);
CREATE INDEX payments_by_buyer ON payments (buyer_id, id);
CREATE INDEX payments_by_seller ON payments (seller_id, id);

-- What happened to a payment, numbered from 1. Rows are added and never changed.
CREATE TABLE payment_ledger (
    payment_id TEXT NOT NULL REFERENCES payments (id),
    ordinal BIGINT NOT NULL,
    kind TEXT NOT NULL,
    amount TEXT,
    currency TEXT,
    tx_hash TEXT,
    detail TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (payment_id, ordinal)
);

-- Payouts. A row is written before the provider is asked, so that it is asked once. `request_name`
-- is of the POST with an Idempotency-Key that began it: the same again finds it.
CREATE TABLE payouts (
    id TEXT NOT NULL PRIMARY KEY,
    seller_id TEXT NOT NULL,
    payment_id TEXT REFERENCES payments (id),
    amount TEXT NOT NULL,
    currency TEXT NOT NULL,
    destination TEXT NOT NULL,
    provider TEXT NOT NULL CHECK (provider IN ('shkeeper', 'decentralized')),
    status TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
    task_id TEXT,
    tx_hash TEXT,
    reason TEXT,
    webhook_token TEXT UNIQUE,
    request_name BYTEA UNIQUE,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- A payment is paid out once, unless that failed. That one is through is looked up, since a payout
-- that was held to have failed may turn out to be through beside another.
CREATE UNIQUE INDEX payouts_of_payment ON payouts (payment_id)
    WHERE status IN ('pending', 'processing');
CREATE INDEX payouts_by_payment ON payouts (payment_id);
CREATE INDEX payouts_under_way ON payouts (id)
    WHERE provider = 'shkeeper' AND status IN ('pending', 'processing');

-- Callbacks of providers as they came, and when they were processed. The key is what makes one the
-- same as another.
CREATE TABLE webhooks (
    dedupe_key TEXT NOT NULL PRIMARY KEY,
    provider TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BYTEA NOT NULL,
    received_at BIGINT NOT NULL,
    processed_at BIGINT
);
