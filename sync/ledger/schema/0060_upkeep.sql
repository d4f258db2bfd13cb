-- The newest event of each school, for the city's page.
CREATE INDEX batch_time ON batch (school, received_at);

COMMENT ON COLUMN school.roster_floor IS 'always 0: every version stays, so that a sheet can be proved for years';
