-- What was ended stays ended, and who did what is known. Every key begins with the school.

ALTER TABLE enrolment_code ADD COLUMN withdrawn_at timestamptz;

-- Bytes that belong to an act, until they are a file beside the database.
ALTER TABLE act ADD COLUMN attachment bytea;

-- Those of whom nothing is stated any more, whatever comes late or comes again after a restore.
CREATE TABLE erased_person (
    school text NOT NULL REFERENCES school (school),
    person text NOT NULL,
    erased_at timestamptz NOT NULL,
    PRIMARY KEY (school, person)
);

-- Sheets that were closed before the database was restored, and whose bytes are missing. No other closes in their place.
CREATE TABLE lost_closing (
    school text NOT NULL REFERENCES school (school),
    programme text NOT NULL,
    month text NOT NULL,
    number int NOT NULL,
    digest text NOT NULL,
    PRIMARY KEY (school, programme, month, number)
);

-- Every act of an operator that changed something, in the transaction that did it. `school` is '' for the city's own.
-- Rows are only ever added.
CREATE TABLE privileged_act (
    school text NOT NULL,
    token text NOT NULL, -- random
    done_at timestamptz NOT NULL DEFAULT now(),
    done_by text NOT NULL, -- as named with --by, else the system's login name
    act text NOT NULL,
    subject text NOT NULL, -- of the act: a device, a code, a person's id, a sheet
    PRIMARY KEY (school, token)
);
CREATE INDEX privileged_act_time ON privileged_act (school, done_at);

CREATE FUNCTION keep_privileged_act() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'acts are only ever added';
END
$$;
CREATE TRIGGER privileged_act_kept BEFORE UPDATE OR DELETE ON privileged_act
FOR EACH ROW EXECUTE FUNCTION keep_privileged_act();
