-- The version of a day that its newest statement states. Whoever judges a day, the publisher finds what is not stated.
ALTER TABLE settled_day ADD COLUMN stated_version bigint NOT NULL DEFAULT 0;
UPDATE settled_day d SET stated_version = s.settled_version
FROM statement s
WHERE s.school = d.school AND s.day = d.day
  AND s.number = (SELECT max(number) FROM statement n WHERE n.school = d.school AND n.day = d.day);
CREATE INDEX settled_day_unstated ON settled_day (school, day) WHERE version <> stated_version;
