-- Money that waits for somebody is found without a look at all that is settled: payments that were
-- confirmed and pay nothing, payments of which a part came, payouts that are not through.
CREATE INDEX payment_ledger_unapplied ON payment_ledger (payment_id) WHERE kind = 'unapplied';
CREATE INDEX payments_partial ON payments (id) WHERE status = 'partial';
CREATE INDEX payouts_not_through ON payouts (id) WHERE status <> 'completed';
