-- By what name the ledger, its kiosks and every event know a person: a random one, drawn at the person's first import.
-- This row alone ties it to the source's id; without the row it is nobody's. Each school has its own. Every statement
-- is about one school.
CREATE TABLE person_surrogate (
    school text NOT NULL REFERENCES school (school),
    source_id text NOT NULL, -- in the exports of the school's system
    surrogate text NOT NULL,
    PRIMARY KEY (school, source_id)
);
CREATE UNIQUE INDEX person_surrogate_name ON person_surrogate (school, surrogate);

-- Whoever was on a roster before keeps the source's id as their name: events that cannot be changed have it.
INSERT INTO person_surrogate (school, source_id, surrogate)
SELECT DISTINCT school, id, id FROM roster_record r
WHERE type = 'person' AND NOT EXISTS (
    SELECT 1 FROM erased_person e WHERE e.school = r.school AND e.person = r.id
);
