-- Two append-only logs of each school (RFC 9162): `events` and `claims`. A leaf is added in the transaction of what it
-- speaks of; the checkpointer numbers it soon after. Nothing here is ever changed but for a leaf's number, once.
CREATE TABLE log_leaf (
    school text NOT NULL REFERENCES school,
    log text NOT NULL CHECK (log IN ('events', 'claims')),
    entry bigint GENERATED ALWAYS AS IDENTITY,
    leaf bytea NOT NULL,
    device text NOT NULL DEFAULT '', -- of a batch
    number bigint, -- its place in the tree, from 0; NULL until it has one
    added_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (school, log, entry)
);
CREATE UNIQUE INDEX log_leaf_number ON log_leaf (school, log, number) WHERE number IS NOT NULL;
CREATE INDEX log_leaf_waiting ON log_leaf (school, log, entry) WHERE number IS NULL;
CREATE INDEX log_leaf_device ON log_leaf (school, log, device, number) WHERE device <> '';

-- The complete subtrees: subtree `number` of `level` covers 2^level leaves. With them a proof is a few look-ups.
CREATE TABLE log_subtree (
    school text NOT NULL,
    log text NOT NULL,
    level int NOT NULL,
    number bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (school, log, level, number)
);

-- Where a log stands. This row, locked, is the authority on numbers. `cosigned` is the newest checkpoint under which a
-- witness has signed, too: proofs are made of it.
CREATE TABLE log_head (
    school text NOT NULL,
    log text NOT NULL,
    size bigint NOT NULL DEFAULT 0,
    hashes bytea[] NOT NULL DEFAULT '{}', -- of the complete subtrees, largest first
    checkpoint text NOT NULL DEFAULT '',
    sealed_at timestamptz,
    cosigned text NOT NULL DEFAULT '',
    cosigned_size bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (school, log)
);
