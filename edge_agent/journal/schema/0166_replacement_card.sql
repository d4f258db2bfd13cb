-- Cards that a desk of this school gave in the place of lost ones, laid over the roster until the source agrees: one a
-- person. `sealed` holds the numbers, under the key that `key` names; empty: they stay at the kiosk that has made it.
CREATE TABLE replacement_card (
    person TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    blocked TEXT NOT NULL, -- the roster's ids of the former cards, as a JSON list
    sealed BLOB NOT NULL,
    key TEXT NOT NULL CHECK (key IN ('sealing', 'kiosk')),
    made_at TEXT NOT NULL,
    relayed INTEGER NOT NULL DEFAULT 0 CHECK (relayed IN (0, 1)),
    ended INTEGER NOT NULL DEFAULT 0 CHECK (ended IN (0, 1)) -- the source agrees, and the ledger does not know it yet
) STRICT;
