-- The last step of a changing code that each person has used at any kiosk of the school, in the order in which the
-- ledger heard of it: what the school's other kiosks fetch. Every statement is about one school.
CREATE TABLE code_use (
    school text NOT NULL REFERENCES school (school),
    person text NOT NULL,
    step bigint NOT NULL CHECK (step >= 0),
    version bigint NOT NULL, -- of the school's uses: each batch with uses has the next number
    PRIMARY KEY (school, person)
);
CREATE INDEX code_use_version ON code_use (school, version);

-- Beside the school's own row, which a change of the roster locks first and a batch would lock last.
CREATE TABLE code_use_head (
    school text PRIMARY KEY REFERENCES school (school),
    version bigint NOT NULL
);
