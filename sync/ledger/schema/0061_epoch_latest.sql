-- The latest good wall time of a closed epoch's events: what is sent of it later is held where it is earlier than that.
ALTER TABLE epoch ADD COLUMN latest text NOT NULL DEFAULT '';
