-- Keyed hashes come with the roster and have its versions. A child who has left is still found in the payer's sheet of
-- the month before, by the last hash.
ALTER TABLE payer_number ADD COLUMN version bigint NOT NULL DEFAULT 0; -- of the roster with which it came

CREATE TABLE payer_number_former (
    school text NOT NULL REFERENCES school,
    number_hash text NOT NULL,
    person text NOT NULL,
    version bigint NOT NULL,
    superseded bigint NOT NULL, -- the version of the roster that has it no more
    PRIMARY KEY (school, number_hash, person, version)
);
