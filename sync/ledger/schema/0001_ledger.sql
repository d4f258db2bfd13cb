-- The ledger's tables. Every key begins with the school, so that a distributed PostgreSQL can shard by it as it
-- stands: all rows that one transaction touches belong to one school. Times are the ledger's own clock.

CREATE TABLE school (
    school text PRIMARY KEY,
    name text NOT NULL,
    timezone text NOT NULL,
    roster_version bigint NOT NULL DEFAULT 0,
    roster_floor bigint NOT NULL DEFAULT 0, -- versions below it can no longer be asked for in parts, only whole
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE device (
    school text NOT NULL REFERENCES school,
    device text NOT NULL,
    name text NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    enrolled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (school, device)
);

-- A device's keys, the newest in force; a retired one still proves what it signed.
CREATE TABLE device_key (
    school text NOT NULL,
    device text NOT NULL,
    public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
    added_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz,
    PRIMARY KEY (school, device, public_key),
    FOREIGN KEY (school, device) REFERENCES device
);

-- One-time codes; only a hash is kept. `device` is set when the code has been used.
CREATE TABLE enrolment_code (
    school text NOT NULL REFERENCES school,
    code_hash bytea NOT NULL,
    device_name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    device text,
    public_key bytea,
    PRIMARY KEY (school, code_hash)
);

-- One life of a device's journal.
CREATE TABLE epoch (
    school text NOT NULL,
    device text NOT NULL,
    epoch text NOT NULL,
    public_key bytea NOT NULL,
    genesis bytea NOT NULL,
    parent text NOT NULL, -- the former epoch that it names; '' for a device's first, or where no receipt fits
    parent_seq bigint NOT NULL,
    parent_hash bytea NOT NULL, -- as named in the genesis
    opened_at timestamptz NOT NULL DEFAULT now(),
    last_seq bigint NOT NULL DEFAULT 0, -- set when it is superseded
    last_hash bytea,
    superseded_at timestamptz,
    PRIMARY KEY (school, device, epoch),
    FOREIGN KEY (school, device) REFERENCES device
);

-- Where a device stands. This row, locked, is the authority on duplicates and on which epoch is open.
CREATE TABLE head (
    school text NOT NULL,
    device text NOT NULL,
    epoch text NOT NULL, -- '' before the first
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (school, device),
    FOREIGN KEY (school, device) REFERENCES device
);

-- What was signed, as it was signed and sent: with it anyone can check the device's signature over its events again.
CREATE TABLE batch (
    school text NOT NULL,
    device text NOT NULL,
    epoch text NOT NULL,
    last_seq bigint NOT NULL,
    content_digest text NOT NULL,
    first_seq bigint NOT NULL, -- the first event that this batch added; 0 where it added none, being a fork
    signature_input text NOT NULL,
    signature text NOT NULL,
    signed bytea NOT NULL, -- the signature base
    public_key bytea NOT NULL,
    content_encoding text NOT NULL,
    body bytea NOT NULL, -- as it came; mostly compressed already
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (school, device, epoch, last_seq, content_digest)
);
ALTER TABLE batch ALTER body SET STORAGE EXTERNAL;

-- The facts. `payload` is what was hashed, byte for byte; the columns beside it are read out of it for reports.
CREATE TABLE event (
    school text NOT NULL,
    device text NOT NULL,
    epoch text NOT NULL,
    seq bigint NOT NULL,
    payload bytea NOT NULL,
    hash bytea NOT NULL,
    kind text NOT NULL, -- '' where it could not be read
    day text NOT NULL, -- the service date, else the UTC date it carries, else ''
    flags text NOT NULL, -- comma-separated; '' where nothing is odd
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (school, device, epoch, seq)
);

CREATE INDEX event_day ON event (school, day);

-- Events of a closed epoch that came in its successor, under their old identity. One that the ledger holds already as
-- an event is not repeated here; two with one identity and different hashes (a restored card) are both kept.
CREATE TABLE carried (
    school text NOT NULL,
    device text NOT NULL,
    epoch text NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    payload bytea NOT NULL,
    kind text NOT NULL,
    day text NOT NULL,
    flags text NOT NULL,
    by_epoch text NOT NULL, -- the event that carried it
    by_seq bigint NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (school, device, epoch, seq, hash)
);

CREATE INDEX carried_day ON carried (school, day);

-- Every fact once. `branch` is '' but for events of a copied card from where its chain parts from the stored one: there
-- it names the epoch that carried them. Both copies' events happened.
CREATE VIEW fact AS
SELECT school, device, epoch, seq, hash, payload, kind, day, flags, received_at, '' AS branch
FROM event
WHERE kind <> 'carried'
UNION ALL
SELECT school, device, epoch, seq, hash, payload, kind, day, flags, received_at,
       CASE WHEN seq >= parted_at THEN by_epoch ELSE '' END
FROM (
    SELECT c.*, min(e.seq) OVER (PARTITION BY c.school, c.device, c.epoch, c.by_epoch) AS parted_at
    FROM carried c
    LEFT JOIN event e ON e.school = c.school AND e.device = c.device AND e.epoch = c.epoch AND e.seq = c.seq
) AS parcel;

-- What a device sent on a chain that parts from the stored one. Evidence, never counted.
CREATE TABLE fork (
    school text NOT NULL,
    device text NOT NULL,
    epoch text NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    payload bytea NOT NULL,
    ledger_hash bytea NOT NULL, -- '' where the ledger has nothing under this number yet
    content_digest text NOT NULL, -- of the batch that holds the signature
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (school, device, epoch, seq, hash)
);

-- Events that are stored and acknowledged, and that a person should look at.
CREATE TABLE quarantine (
    school text NOT NULL,
    device text NOT NULL,
    epoch text NOT NULL,
    seq bigint NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (school, device, epoch, seq)
);

-- What the ledger promised, as it signed it.
CREATE TABLE receipt (
    school text NOT NULL,
    device text NOT NULL,
    epoch text NOT NULL,
    accepted_through bigint NOT NULL,
    head bytea NOT NULL,
    receipt bytea NOT NULL,
    issued_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (school, device, epoch, accepted_through)
);

-- The last sign of life of each run of each device's agent. Runs follow each other; two that overlap in time are two
-- kiosks with one identity.
CREATE TABLE heartbeat (
    school text NOT NULL,
    device text NOT NULL,
    instance text NOT NULL,
    body bytea NOT NULL,
    first_at timestamptz NOT NULL DEFAULT now(),
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (school, device, instance),
    FOREIGN KEY (school, device) REFERENCES device
);

-- Every state of every roster record. The state at version v is the row with version <= v and (superseded is null or
-- superseded > v), so that pages stay consistent while the roster changes. `body` is null where it was deleted.
CREATE TABLE roster_record (
    school text NOT NULL REFERENCES school,
    type text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    superseded bigint,
    body text,
    modified text NOT NULL DEFAULT '', -- the source's own dateLastModified; an older change does not undo a newer one
    PRIMARY KEY (school, type, id, version)
);

CREATE UNIQUE INDEX roster_current ON roster_record (school, type, id) WHERE superseded IS NULL;
CREATE INDEX roster_since ON roster_record (school, version);

-- A OneRoster source's own records, as the last import left them: what a delta is laid over.
CREATE TABLE roster_source (
    school text NOT NULL REFERENCES school,
    file text NOT NULL,
    sourced_id text NOT NULL,
    kept text NOT NULL, -- JSON: the row's fields, when the source last changed it, whether it still holds
    PRIMARY KEY (school, file, sourced_id)
);
