-- `subject` is what a kept answer shows and can change later, such as a message: the answer is written
-- anew with it. Answers from before have none; a day later they are gone.
ALTER TABLE idempotency_keys ADD COLUMN subject TEXT;

CREATE INDEX idempotency_keys_by_subject ON idempotency_keys (subject) WHERE subject IS NOT NULL;

-- Which payment a transaction pays is told by `payment_transactions` alone: nothing writes
-- `payments.tx_key` any more, and nothing reads it.
DROP INDEX payments_by_tx_key;
DROP INDEX payments_by_transaction_key;
