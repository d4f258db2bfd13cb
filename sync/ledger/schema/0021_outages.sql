-- The few events among many that tell when a kiosk was away: a sheet sets them beside each meal that was not had.
CREATE INDEX event_outage ON event (school, day) WHERE kind IN ('boot', 'stop', 'repair', 'clock_step');
