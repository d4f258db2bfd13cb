-- The newest event of each school, for the city's page.
CREATE INDEX batch_time ON batch (school, received_at);
