-- The ledger's judgement: columns beside the bytes, the days that must be judged, and the visits of each day.

-- Read out of the payload when an event comes (`sync.ledger.intake.event_columns`); '' and 0 where it has no such field.
ALTER TABLE event
    ADD COLUMN person text NOT NULL DEFAULT '',
    ADD COLUMN session text NOT NULL DEFAULT '',
    ADD COLUMN service_date text NOT NULL DEFAULT '',
    ADD COLUMN programme text NOT NULL DEFAULT '',
    ADD COLUMN method text NOT NULL DEFAULT '',
    ADD COLUMN claim text NOT NULL DEFAULT '',
    ADD COLUMN reader text NOT NULL DEFAULT '',
    ADD COLUMN operator text NOT NULL DEFAULT '',
    ADD COLUMN note text NOT NULL DEFAULT '',
    ADD COLUMN group_id text NOT NULL DEFAULT '',
    ADD COLUMN recorded_at text NOT NULL DEFAULT '', -- the kiosk's wall clock, as it stood
    ADD COLUMN boot text NOT NULL DEFAULT '',
    ADD COLUMN mono_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN clock text NOT NULL DEFAULT '',
    ADD COLUMN roster bigint NOT NULL DEFAULT 0, -- the version by which the kiosk judged
    ADD COLUMN named_device text NOT NULL DEFAULT '', -- what a void takes back; '': not said
    ADD COLUMN named_epoch text NOT NULL DEFAULT '', -- what a void takes back, or an exit ends
    ADD COLUMN named_seq bigint NOT NULL DEFAULT 0,
    ADD COLUMN latest_before text NOT NULL DEFAULT ''; -- the latest good wall time before it in its epoch

ALTER TABLE carried
    ADD COLUMN person text NOT NULL DEFAULT '',
    ADD COLUMN session text NOT NULL DEFAULT '',
    ADD COLUMN service_date text NOT NULL DEFAULT '',
    ADD COLUMN programme text NOT NULL DEFAULT '',
    ADD COLUMN method text NOT NULL DEFAULT '',
    ADD COLUMN claim text NOT NULL DEFAULT '',
    ADD COLUMN reader text NOT NULL DEFAULT '',
    ADD COLUMN operator text NOT NULL DEFAULT '',
    ADD COLUMN note text NOT NULL DEFAULT '',
    ADD COLUMN group_id text NOT NULL DEFAULT '',
    ADD COLUMN recorded_at text NOT NULL DEFAULT '',
    ADD COLUMN boot text NOT NULL DEFAULT '',
    ADD COLUMN mono_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN clock text NOT NULL DEFAULT '',
    ADD COLUMN roster bigint NOT NULL DEFAULT 0,
    ADD COLUMN named_device text NOT NULL DEFAULT '',
    ADD COLUMN named_epoch text NOT NULL DEFAULT '',
    ADD COLUMN named_seq bigint NOT NULL DEFAULT 0;

CREATE INDEX event_void ON event (school, named_epoch, named_seq) WHERE kind = 'void';
CREATE INDEX carried_void ON carried (school, named_epoch, named_seq) WHERE kind = 'void';

ALTER TABLE head ADD COLUMN latest text NOT NULL DEFAULT ''; -- the latest good wall time of the open epoch

-- The clock evidence of a boot: of each span of ten minutes on its monotonic clock the first event whose wall clock was
-- synchronised. The true times of the other events are reckoned from these.
CREATE TABLE clock_anchor (
    school text NOT NULL,
    device text NOT NULL,
    boot text NOT NULL,
    span bigint NOT NULL,
    mono_ms bigint NOT NULL,
    recorded_at text NOT NULL,
    PRIMARY KEY (school, device, boot, span)
);

-- Entries and exits that happened, or may have happened, on another day than the one in their column `day`: their clock
-- was uncertain, or an exit names another service date than its own.
CREATE TABLE strayed_event (
    school text NOT NULL,
    device text NOT NULL,
    epoch text NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL, -- of a carried event; '' of another one
    boot text NOT NULL, -- '' where the clock was good
    recorded_at text NOT NULL,
    mono_ms bigint NOT NULL,
    day text NOT NULL, -- as in the event's own column
    true_day text NOT NULL DEFAULT '', -- the UTC date of its true time; '' where nothing vouches for one
    PRIMARY KEY (school, device, epoch, seq, hash)
);
CREATE INDEX strayed_event_day ON strayed_event (school, true_day);
CREATE INDEX strayed_event_boot ON strayed_event (school, device, boot);

-- Days of which something has come that they were not judged with. `marks` grows with each reason, so that one that
-- comes while a day is judged is not lost.
CREATE TABLE dirty_day (
    school text NOT NULL REFERENCES school,
    day text NOT NULL,
    marks bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (school, day)
);

-- The days that were judged. `version` grows when the day's visits change.
CREATE TABLE settled_day (
    school text NOT NULL REFERENCES school,
    day text NOT NULL,
    version bigint NOT NULL,
    settled_at timestamptz NOT NULL,
    PRIMARY KEY (school, day)
);

-- The visits and claims of each day, as `sync.contract.visits` derives them from the events. Never changed by hand: any
-- row can be computed again.
CREATE TABLE visit (
    school text NOT NULL,
    day text NOT NULL,
    device text NOT NULL, -- of the entry, as are epoch and seq
    epoch text NOT NULL,
    seq bigint NOT NULL,
    person text NOT NULL,
    session text NOT NULL,
    service_date text NOT NULL,
    method text NOT NULL,
    programme text NOT NULL,
    claim text NOT NULL,
    why text NOT NULL,
    recorded_programme text NOT NULL, -- as the kiosk judged
    recorded_claim text NOT NULL,
    first_device text NOT NULL, -- of a second meal: the entry that is billed
    first_epoch text NOT NULL,
    first_seq bigint NOT NULL,
    entry_time timestamptz,
    recorded_time text NOT NULL,
    exit_time timestamptz,
    exit_device text NOT NULL,
    exit_epoch text NOT NULL,
    exit_seq bigint NOT NULL,
    closing text NOT NULL,
    review boolean NOT NULL,
    operator text NOT NULL,
    note text NOT NULL,
    group_id text NOT NULL,
    PRIMARY KEY (school, day, device, epoch, seq)
);
