-- A transaction completes one payout; of several that one had completed the first has it.
ALTER TABLE payouts ADD COLUMN tx_key TEXT;

UPDATE payouts SET tx_key = CASE
        WHEN lower(tx_hash) LIKE '0x_%' THEN substr(lower(tx_hash), 3)
        WHEN ltrim(lower(tx_hash), '0123456789abcdef') = '' THEN lower(tx_hash)
        ELSE tx_hash END
    WHERE tx_hash IS NOT NULL;

CREATE INDEX payouts_by_tx_key ON payouts (tx_key);

UPDATE payouts SET tx_key = NULL
    WHERE EXISTS (
        SELECT 1 FROM payouts earlier
        WHERE earlier.tx_key = payouts.tx_key AND earlier.id < payouts.id);

DROP INDEX payouts_by_tx_key;
CREATE UNIQUE INDEX payouts_by_transaction_key ON payouts (tx_key);
