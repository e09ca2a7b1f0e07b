-- Conversations that are taken in from a file: nobody takes part in one until its last message is there.
-- `participants` is the JSON list of who will.
CREATE TABLE conversation_imports (
    conversation_id TEXT NOT NULL PRIMARY KEY REFERENCES conversations (id),
    participants TEXT NOT NULL
);

-- From a payment or a payout to the callbacks about it.
CREATE INDEX webhooks_by_subject ON webhooks (subject_id, dedupe_key);
-- From a payment to the transactions that pay it.
CREATE INDEX payment_transactions_by_payment ON payment_transactions (payment_id, tx_key);
