-- `tx_key` is what is the same for every way to write a transaction's name: without 0x, hex digits
-- small. Of payments that one transaction had confirmed under two names the first has it.
ALTER TABLE payments ADD COLUMN tx_key TEXT;

UPDATE payments SET tx_key = CASE
        WHEN lower(tx_hash) LIKE '0x_%' THEN substr(lower(tx_hash), 3)
        WHEN ltrim(lower(tx_hash), '0123456789abcdef') = '' THEN lower(tx_hash)
        ELSE tx_hash END
    WHERE tx_hash IS NOT NULL;

UPDATE payouts SET tx_hash = lower(tx_hash)
    WHERE lower(tx_hash) LIKE '0x_%' OR ltrim(lower(tx_hash), '0123456789abcdef') = '';

CREATE INDEX payments_by_tx_key ON payments (tx_key);

UPDATE payments SET tx_key = NULL
    WHERE provider = 'decentralized' AND EXISTS (
        SELECT 1 FROM payments earlier
        WHERE earlier.tx_key = payments.tx_key AND earlier.provider = 'decentralized'
            AND earlier.id < payments.id);

CREATE UNIQUE INDEX payments_by_transaction_key ON payments (tx_key)
    WHERE provider = 'decentralized';
CREATE INDEX payment_ledger_by_tx_hash ON payment_ledger (tx_hash);

-- The coins that the provider was asked for, and how often the buyer changed to each.
CREATE TABLE payment_coins (
    payment_id TEXT NOT NULL REFERENCES payments (id),
    crypto TEXT NOT NULL,
    changes BIGINT NOT NULL,
    PRIMARY KEY (payment_id, crypto)
);

INSERT INTO payment_coins (payment_id, crypto, changes)
    SELECT DISTINCT payment_id, currency, 0 FROM payment_ledger
    WHERE kind = 'invoiced' AND currency IS NOT NULL;
