-- The basis of judgement beside the events: rosters over time, suspensions, closed months, decisions of named persons.

-- Grows with every change of a basis, so that no day is judged by one that has just been replaced.
ALTER TABLE school ADD COLUMN basis_version bigint NOT NULL DEFAULT 0;

-- The time from which each version of a roster was in force.
CREATE TABLE roster_version (
    school text NOT NULL REFERENCES school,
    version bigint NOT NULL,
    in_force timestamptz NOT NULL,
    PRIMARY KEY (school, version)
);
-- Of older versions only the order is known: the newest one judges all of their time.
INSERT INTO roster_version (school, version, in_force)
SELECT school, roster_version, created_at FROM school WHERE roster_version > 0;

-- When a kiosk was suspended; `until` is null while it lasts.
CREATE TABLE device_suspension (
    school text NOT NULL,
    device text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz,
    PRIMARY KEY (school, device, since),
    FOREIGN KEY (school, device) REFERENCES device
);
INSERT INTO device_suspension (school, device, since) SELECT school, device, now() FROM device WHERE status = 'suspended';

-- Months that are closed: a newer roster changes nothing in them.
CREATE TABLE closed_month (
    school text NOT NULL REFERENCES school,
    month text NOT NULL, -- `2026-11`
    roster_version bigint NOT NULL, -- the newest one then: it states the entitlements of that month
    closed_at timestamptz NOT NULL,
    PRIMARY KEY (school, month)
);

-- Named persons who may decide about claims. Their private keys are files of theirs and never come here.
CREATE TABLE officer (
    school text NOT NULL REFERENCES school,
    officer text NOT NULL, -- a short id
    public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('school', 'city', 'caterer', 'auditor')),
    added_at timestamptz NOT NULL,
    retired_at timestamptz, -- what was signed before still holds
    PRIMARY KEY (school, officer, public_key)
);

-- Decisions, as they were signed. The newest about an entry counts.
CREATE TABLE reversal (
    school text NOT NULL REFERENCES school,
    device text NOT NULL, -- of the entry, as are epoch and seq
    epoch text NOT NULL,
    seq bigint NOT NULL,
    number int NOT NULL,
    body bytea NOT NULL,
    signature bytea NOT NULL,
    public_key bytea NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (school, device, epoch, seq, number)
);
