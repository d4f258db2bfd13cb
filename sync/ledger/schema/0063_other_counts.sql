-- The other counts on the pages: how a payer's files are read, and the files that were handed in, without the payer's
-- numbers and without the names of those whom a number names.

CREATE TABLE payer_map (
    school text NOT NULL REFERENCES school,
    map text NOT NULL,
    body bytea NOT NULL, -- canonical JSON
    stored_by text NOT NULL,
    stored_at timestamptz NOT NULL,
    PRIMARY KEY (school, map)
);

CREATE TABLE other_count (
    school text NOT NULL REFERENCES school,
    kind text NOT NULL CHECK (kind IN ('meals', 'lessons')),
    programme text NOT NULL,
    period text NOT NULL, -- of meals a month, 2025-11; of lessons a day
    number int NOT NULL, -- as they were handed in, from 1
    file text NOT NULL,
    digest text NOT NULL, -- SHA-256 of the file as it came
    map text NOT NULL,
    counted_at timestamptz, -- when the payer counted, where somebody says so
    lines bytea NOT NULL, -- JSON: the lines as they were read
    result bytea NOT NULL, -- JSON: what came out when they were compared last
    compared_at timestamptz NOT NULL,
    handed_in_by text NOT NULL,
    role text NOT NULL,
    handed_in_at timestamptz NOT NULL,
    PRIMARY KEY (school, kind, programme, period, number)
);

-- Every confirmation of a name, by whom: `payer_name` has only the newest of each.
CREATE TABLE payer_name_act (
    school text NOT NULL REFERENCES school,
    act bigint GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    class text NOT NULL,
    person text NOT NULL,
    confirmed_by text NOT NULL,
    confirmed_at timestamptz NOT NULL,
    PRIMARY KEY (school, act)
);
