-- By what a payer's lines are matched to people. The numbers themselves are nowhere: only their HMAC, under a key that
-- the ledger does not hold.
CREATE TABLE payer_number (
    school text NOT NULL REFERENCES school,
    number_hash text NOT NULL, -- HMAC-SHA256, hex
    person text NOT NULL,
    PRIMARY KEY (school, number_hash, person)
);

-- Names and classes as a payer writes them, which a named person has confirmed to be this person's.
CREATE TABLE payer_name (
    school text NOT NULL REFERENCES school,
    name text NOT NULL, -- folded, as `sync.money.payer_people` does
    class text NOT NULL,
    person text NOT NULL,
    confirmed_by text NOT NULL,
    confirmed_at timestamptz NOT NULL,
    PRIMARY KEY (school, name, class)
);
