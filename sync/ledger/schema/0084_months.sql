-- The facts by the month in which they came (UTC): what is old is detached as a whole. A unique key of a partitioned table
-- holds the month, so that one event could stand in two; that it does not is the work of the locked head row, as before.
-- New months are opened ahead by `sync.ledger.intake.event_months`.
DROP VIEW fact;
ALTER TABLE event RENAME TO event_before_months;
ALTER INDEX event_pkey RENAME TO event_before_months_pkey;
DROP INDEX event_day, event_void, event_outage;

CREATE TABLE event (
    LIKE event_before_months INCLUDING DEFAULTS,
    month text NOT NULL DEFAULT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM'),
    PRIMARY KEY (school, device, epoch, seq, month)
) PARTITION BY LIST (month);

DO $$
DECLARE came text;
BEGIN
    FOR came IN SELECT DISTINCT to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM') FROM event_before_months LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF event FOR VALUES IN (%L)', 'event_' || replace(came, '-', '_'), came);
    END LOOP;
END
$$;
INSERT INTO event SELECT b.*, to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM') FROM event_before_months b;
DROP TABLE event_before_months;

CREATE INDEX event_day ON event (school, day);
CREATE INDEX event_void ON event (school, named_epoch, named_seq) WHERE kind = 'void';
CREATE INDEX event_outage ON event (school, day) WHERE kind IN ('boot', 'stop', 'repair', 'clock_step');

CREATE VIEW fact AS
SELECT school, device, epoch, seq, hash, payload, kind, day, flags, received_at, '' AS branch
FROM event
WHERE kind <> 'carried'
UNION ALL
SELECT school, device, epoch, seq, hash, payload, kind, day, flags, received_at,
       CASE WHEN seq >= parted_at THEN by_epoch ELSE '' END
FROM (
    SELECT c.*, min(e.seq) OVER (PARTITION BY c.school, c.device, c.epoch, c.by_epoch) AS parted_at
    FROM carried c
    LEFT JOIN event e ON e.school = c.school AND e.device = c.device AND e.epoch = c.epoch AND e.seq = c.seq
) AS parcel;

-- The cut of an epoch where a month was detached: with it the chain of what stays holds, and the file of the month can be
-- checked. Signed by the ledger's receipt key. Every key begins with the school.
CREATE TABLE month_anchor (
    school text NOT NULL REFERENCES school (school),
    device text NOT NULL,
    epoch text NOT NULL,
    month text NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    body bytea NOT NULL, -- canonical JSON: the same, with the hashes before the first event and of the last
    signature bytea NOT NULL,
    public_key bytea NOT NULL,
    PRIMARY KEY (school, device, epoch, month)
);

-- The days under which events of detached months stand. They are not judged again until the month is attached.
CREATE TABLE detached_day (
    school text NOT NULL REFERENCES school (school),
    day text NOT NULL,
    month text NOT NULL,
    PRIMARY KEY (school, day, month)
);
