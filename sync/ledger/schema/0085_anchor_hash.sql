-- By what the first event behind a cut is checked, beside the signed bytes that say the same.
ALTER TABLE month_anchor ADD COLUMN last_hash bytea NOT NULL;
