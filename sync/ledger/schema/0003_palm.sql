-- Sealed palms on their way between the kiosks of a school. The key that opens them is on the kiosks and in the
-- school's safe, never here. A row goes with the consent; one that was taken back stays without its bytes, so that
-- every kiosk hears of it.
CREATE TABLE palm (
    school text NOT NULL REFERENCES school,
    person text NOT NULL,
    hand text NOT NULL CHECK (hand IN ('left', 'right', 'unknown')),
    version bigint NOT NULL, -- of the school's palms: each change has the next number
    made_at text NOT NULL,
    quality int NOT NULL,
    sealed bytea, -- NULL: taken back
    device text NOT NULL, -- that brought it
    PRIMARY KEY (school, person, hand)
);
-- They are noise: to compress them costs time for nothing.
ALTER TABLE palm ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX palm_version ON palm (school, version);
ALTER TABLE school ADD COLUMN palm_version bigint NOT NULL DEFAULT 0;
