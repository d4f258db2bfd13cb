-- Codes on paper, by which a family reads its child's pages. Only a hash; a code is good until the school year's end or
-- until the school takes it back, for a few devices.
CREATE TABLE family_code (
    school text NOT NULL REFERENCES school,
    code_hash bytea NOT NULL,
    person text NOT NULL,
    issued_at timestamptz NOT NULL,
    issued_by text NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (school, code_hash)
);
CREATE INDEX family_code_person ON family_code (school, person);

-- Devices that a code has let in; only a hash of the cookie. Each can be shut out alone.
CREATE TABLE family_session (
    school text NOT NULL,
    token_hash bytea NOT NULL,
    code_hash bytea NOT NULL,
    name text NOT NULL, -- what the browser calls itself
    form_token text NOT NULL, -- in every form, against forged requests
    opened_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (school, token_hash),
    FOREIGN KEY (school, code_hash) REFERENCES family_code
);

-- Objections of families. One about an entry holds its claim until a named person has answered, signed.
CREATE TABLE contest (
    school text NOT NULL REFERENCES school,
    contest text NOT NULL, -- a random name
    person text NOT NULL,
    day text NOT NULL,
    session text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('not_right', 'not_shown')),
    device text NOT NULL DEFAULT '', -- of the entry that is not right, as are epoch and seq
    epoch text NOT NULL DEFAULT '',
    seq bigint NOT NULL DEFAULT 0,
    note text NOT NULL, -- the family's words; '' once its time of retention is over
    raised_at timestamptz NOT NULL,
    answered_at timestamptz,
    answer bytea, -- the signed bytes
    signature bytea,
    public_key bytea,
    PRIMARY KEY (school, contest)
);
CREATE INDEX contest_day ON contest (school, day);
CREATE INDEX contest_person ON contest (school, person, day);
CREATE UNIQUE INDEX contest_entry ON contest (school, device, epoch, seq) WHERE kind = 'not_right' AND answered_at IS NULL;
