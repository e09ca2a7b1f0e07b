-- What is still being carried out, to be given back at the start of the process that was to do it.
CREATE INDEX idempotency_keys_running ON idempotency_keys (id) WHERE status IS NULL;
