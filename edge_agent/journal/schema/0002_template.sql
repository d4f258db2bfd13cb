-- The palms of the people enrolled here: one row a hand, its samples sealed together with the school's key.
-- A row tells whose palm it is and nothing of the palm; without the key nobody can compare it with anything.
CREATE TABLE template (
    person TEXT NOT NULL,
    hand TEXT NOT NULL CHECK (hand IN ('left', 'right', 'unknown')),
    samples INTEGER NOT NULL CHECK (samples > 0),
    sealed BLOB NOT NULL,  -- AES-256-GCM, see edge_agent/palm/seal.py
    quality INTEGER NOT NULL CHECK (quality BETWEEN 0 AND 100),  -- of the worst sample
    made_at TEXT NOT NULL,
    PRIMARY KEY (person, hand)
) STRICT;
