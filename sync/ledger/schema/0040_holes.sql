-- Events that a kiosk had recorded and can no longer send: retention had removed them, on a receipt, before the ledger
-- lost them. What of them is stored later, from a stick or another kiosk, closes the hole again.
CREATE TABLE hole (
    school text NOT NULL,
    device text NOT NULL,
    epoch text NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    last_hash bytea NOT NULL, -- of its last event; '' where the kiosk could not tell
    why text NOT NULL, -- `pruned`, or as the kiosk's event says it
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (school, device, epoch, first_seq, last_seq),
    FOREIGN KEY (school, device) REFERENCES device
);

-- The highest event of each epoch that a heartbeat has told of: no hand at the kiosk can shorten it.
CREATE TABLE heard_head (
    school text NOT NULL,
    device text NOT NULL,
    epoch text NOT NULL,
    seq bigint NOT NULL,
    hash text NOT NULL,
    PRIMARY KEY (school, device, epoch),
    FOREIGN KEY (school, device) REFERENCES device
);

-- Drawn anew when a start finds that the database was restored from a backup. The versions of a roster compare within
-- one incarnation only.
ALTER TABLE school ADD COLUMN incarnation text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', '');
