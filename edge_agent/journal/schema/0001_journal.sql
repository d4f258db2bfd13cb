-- One row for each life of the journal. The last one is current, the others are closed and only read.
CREATE TABLE epoch (
    ordinal INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE CHECK (length(id) = 16),
    device TEXT NOT NULL,
    public_key BLOB NOT NULL,
    parent_head BLOB NOT NULL,  -- what the genesis cites; empty: no parent
    genesis BLOB NOT NULL CHECK (length(genesis) = 32),
    anchor_seq INTEGER NOT NULL DEFAULT 0,  -- rows up to here were pruned; the chain that is kept starts at this hash
    anchor_hash BLOB NOT NULL CHECK (length(anchor_hash) = 32),
    head_seq INTEGER NOT NULL DEFAULT 0,
    head_hash BLOB NOT NULL CHECK (length(head_hash) = 32),
    acked_seq INTEGER NOT NULL DEFAULT 0,
    acked_hash BLOB NOT NULL CHECK (length(acked_hash) = 32),
    carried_seq INTEGER NOT NULL DEFAULT 0,  -- last row of this epoch that holds an event of an earlier one
    opened_at TEXT NOT NULL,
    why TEXT NOT NULL,
    CHECK (0 <= anchor_seq AND anchor_seq <= head_seq AND 0 <= acked_seq AND acked_seq <= head_seq)
) STRICT;

-- The facts. The payload's bytes are those that were hashed; nobody changes them, only retention removes them.
CREATE TABLE event (
    epoch INTEGER NOT NULL REFERENCES epoch (ordinal),
    seq INTEGER NOT NULL CHECK (seq > 0),
    payload BLOB NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
BEGIN
    SELECT RAISE(ABORT, 'an event is never changed');
END;

CREATE TRIGGER event_is_only_pruned BEFORE DELETE ON event
WHEN OLD.seq > (SELECT anchor_seq FROM epoch WHERE ordinal = OLD.epoch)
BEGIN
    SELECT RAISE(ABORT, 'an event is only removed by retention');
END;

-- Who was seen when: finds the events that the rules ask for. Made from the events, and makeable again from them.
CREATE TABLE sighting (
    person TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    session TEXT NOT NULL,
    service_date TEXT NOT NULL,
    visit INTEGER NOT NULL,  -- 1: entry, manual entry or exit; 0: changes no visit
    voided INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (person, epoch, seq)
) STRICT, WITHOUT ROWID;

-- The last receipt of each day on which the ledger acknowledged something.
CREATE TABLE receipt (
    epoch INTEGER NOT NULL REFERENCES epoch (ordinal),
    received_on TEXT NOT NULL,  -- UTC date
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    receipt BLOB NOT NULL,
    PRIMARY KEY (epoch, received_on)
) STRICT, WITHOUT ROWID;

-- Events that a ledger could not take as they are, with its reason. Never removed.
CREATE TABLE quarantine (
    epoch INTEGER NOT NULL REFERENCES epoch (ordinal),
    seq INTEGER NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    tombstone INTEGER NOT NULL,  -- 1: only its hash and the reason are sent
    at TEXT NOT NULL,
    payload BLOB,  -- the event's bytes, once retention has removed the event
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;

-- The roster in force.
CREATE TABLE roster (
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (type, id)
) STRICT, WITHOUT ROWID;

-- Small marks: the roster's version, when it was confirmed, whether the last stop was an orderly one.
CREATE TABLE state (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
