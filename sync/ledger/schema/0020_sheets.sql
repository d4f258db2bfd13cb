-- Money: calendars, tariffs, sheets and what became of them. Every key begins with the school. Nothing is overwritten:
-- terms come in versions, a sheet in versions and acts.

CREATE TABLE calendar_version (
    school text NOT NULL REFERENCES school,
    calendar text NOT NULL,
    version int NOT NULL, -- the newest of each calendar is in force
    digest text NOT NULL,
    body bytea NOT NULL, -- canonical JSON: what the digest is of
    imported_by text NOT NULL,
    imported_at timestamptz NOT NULL,
    PRIMARY KEY (school, calendar, version)
);

CREATE TABLE tariff_version (
    school text NOT NULL REFERENCES school,
    version int NOT NULL, -- the newest book is in force
    digest text NOT NULL,
    body bytea NOT NULL,
    imported_by text NOT NULL,
    imported_at timestamptz NOT NULL,
    PRIMARY KEY (school, version)
);

-- Opaque codes that may have a price of their own. Never on a sheet; joined when it is priced and shown.
CREATE TABLE person_category (
    school text NOT NULL REFERENCES school,
    person text NOT NULL,
    category text NOT NULL,
    PRIMARY KEY (school, person)
);

-- The canonical bytes of every version of every sheet. `number` 0 is the month's own, from 1 on its corrections.
CREATE TABLE sheet_version (
    school text NOT NULL REFERENCES school,
    programme text NOT NULL,
    month text NOT NULL,
    number int NOT NULL,
    version int NOT NULL,
    digest text NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (school, programme, month, number, version)
);

-- What became of a sheet, in order: replayed through the machine of states, it gives where the sheet stands.
CREATE TABLE sheet_act (
    school text NOT NULL,
    programme text NOT NULL,
    month text NOT NULL,
    number int NOT NULL,
    act int NOT NULL,
    kind text NOT NULL CHECK (kind IN ('proposal', 'objection', 'signature', 'confirmation', 'closing')),
    version int NOT NULL,
    digest text NOT NULL,
    side text NOT NULL DEFAULT '',
    lines text NOT NULL DEFAULT '', -- of an objection: JSON pairs of person and session
    note text NOT NULL DEFAULT '',
    scheme text NOT NULL DEFAULT '',
    signer text NOT NULL DEFAULT '',
    signature bytea NOT NULL DEFAULT '', -- detached, as it was handed in
    done_by text NOT NULL,
    done_at timestamptz NOT NULL,
    PRIMARY KEY (school, programme, month, number, act),
    FOREIGN KEY (school, programme, month, number, version) REFERENCES sheet_version
);

-- Who may sign for a side. `material`: of ed25519 the public key in hex, of cms an attribute of the certificate's
-- subject, as OU=BIN123456789012. No private key is ever here.
CREATE TABLE sheet_signer (
    school text NOT NULL REFERENCES school,
    side text NOT NULL,
    scheme text NOT NULL,
    material text NOT NULL,
    name text NOT NULL,
    added_by text NOT NULL,
    added_at timestamptz NOT NULL,
    retired_at timestamptz,
    PRIMARY KEY (school, side, scheme, material)
);
