-- From an id to the entry of a ledger that has it: one that is taken in from a file may be there already.
CREATE INDEX points_ledger_by_id ON points_ledger (id);
