-- Palms travel to the school's other kiosks through the ledger: which ones it does not have yet, what was taken back
-- here and it has not heard of, and how far its own order was taken over, under which key.
ALTER TABLE template ADD COLUMN relayed INTEGER NOT NULL DEFAULT 0 CHECK (relayed IN (0, 1));

CREATE TABLE taken_back (
    person TEXT NOT NULL,
    hand TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (person, hand)
) STRICT;

CREATE TABLE palm_relay (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    fingerprint TEXT NOT NULL
) STRICT;
