-- Categories of people in versions. Nothing is overwritten; each version has a leaf in the log of events.

CREATE TABLE category_version (
    school text NOT NULL REFERENCES school,
    version int NOT NULL, -- of those in force on a day, the newest counts; 0 is from before there were versions
    first date NOT NULL, -- it is in force from this day on
    digest text NOT NULL, -- of sync/proof/categories.py
    imported_by text NOT NULL,
    imported_at timestamptz NOT NULL,
    PRIMARY KEY (school, version)
);

-- Opaque codes that may have a price of their own. Never on a sheet; joined when it is priced and shown. Of somebody who
-- was erased only the hash is there, without which the digest of a version could not be proved.
CREATE TABLE category_row (
    school text NOT NULL,
    version int NOT NULL,
    hash bytea NOT NULL,
    person text NOT NULL, -- '' after erasure
    category text NOT NULL, -- likewise
    salt bytea, -- NULL after erasure
    PRIMARY KEY (school, version, hash),
    FOREIGN KEY (school, version) REFERENCES category_version
);

-- The rows of `person_category` become version 0. The table stays, empty: its name is one that others may know.
CREATE TEMPORARY TABLE former_category ON COMMIT DROP AS
WITH salted AS MATERIALIZED (
    SELECT school, person, category, uuid_send(gen_random_uuid()) AS salt FROM person_category WHERE category <> ''
)
SELECT school, person, category, salt, sha256(
    '\x00'::bytea || convert_to(E'canteen category v1\n', 'UTF8') || salt
    || decode(lpad(to_hex(octet_length(convert_to(person, 'UTF8'))), 4, '0'), 'hex') || convert_to(person, 'UTF8')
    || decode(lpad(to_hex(octet_length(convert_to(category, 'UTF8'))), 4, '0'), 'hex') || convert_to(category, 'UTF8')
) AS hash FROM salted;

INSERT INTO category_version (school, version, first, digest, imported_by, imported_at)
SELECT school, 0, '0001-01-01', encode(sha256(convert_to(
    E'canteen categories v1\n0001-01-01\n' || count(*) || E'\n'
    || encode(sha256(string_agg(hash, ''::bytea ORDER BY hash)), 'hex') || E'\n', 'UTF8'
)), 'hex'), '', now()
FROM former_category GROUP BY school;

INSERT INTO category_row (school, version, hash, person, category, salt)
SELECT school, 0, hash, person, category, salt FROM former_category;

INSERT INTO log_leaf (school, log, leaf)
SELECT school, 'events', convert_to(
    E'canteen version v1\ncategories\n' || school || E'\n0\n' || digest || E'\n', 'UTF8'
) FROM category_version WHERE version = 0;

DELETE FROM person_category;
