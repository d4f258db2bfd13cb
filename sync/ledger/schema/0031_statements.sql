-- What was stated of each school-day, under numbers from 1. A later statement never edits an earlier one.
CREATE TABLE statement (
    school text NOT NULL REFERENCES school,
    day text NOT NULL,
    number int NOT NULL,
    stated_at timestamptz NOT NULL,
    row_count int NOT NULL,
    root bytea NOT NULL,
    settled_version bigint NOT NULL, -- of the day, as it was judged
    entry bigint NOT NULL, -- of its leaf in the claims log
    PRIMARY KEY (school, day, number)
);

-- The rows of each statement, in the order of its tree. Of a person who was erased only the hash stays.
CREATE TABLE statement_row (
    school text NOT NULL,
    day text NOT NULL,
    number int NOT NULL,
    place int NOT NULL, -- in the statement's tree, from 0
    person text NOT NULL, -- '' once erased
    body bytea,
    salt bytea,
    hash bytea NOT NULL,
    PRIMARY KEY (school, day, number, place),
    FOREIGN KEY (school, day, number) REFERENCES statement
);
CREATE INDEX statement_row_person ON statement_row (school, person, day);
