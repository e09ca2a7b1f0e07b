-- Which payment a transaction pays, by what is the same for every way to write its name: a
-- transaction pays one. Of payments that one had paid under the same name the first has it.
CREATE TABLE payment_transactions (
    tx_key TEXT NOT NULL PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payments (id)
);

INSERT INTO payment_transactions (tx_key, payment_id)
    SELECT tx_key, MIN(payment_id) FROM (
        SELECT tx_key, id AS payment_id FROM payments WHERE tx_key IS NOT NULL
        UNION ALL
        SELECT CASE
                WHEN lower(tx_hash) LIKE '0x_%' THEN substr(lower(tx_hash), 3)
                WHEN ltrim(lower(tx_hash), '0123456789abcdef') = '' THEN lower(tx_hash)
                ELSE tx_hash END, payment_id
        FROM payment_ledger WHERE tx_hash IS NOT NULL AND kind = 'received') AS paid
    GROUP BY tx_key;
