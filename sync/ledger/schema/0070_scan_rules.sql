-- The rules by which a kiosk judged a sighting, where a terminal may tell late what it saw: its person's day there is
-- judged again in the order of its true times, with repeats, and with refusals outside all hours.
ALTER TABLE event ADD COLUMN scan_rules text NOT NULL DEFAULT '';
ALTER TABLE carried ADD COLUMN scan_rules text NOT NULL DEFAULT '';
