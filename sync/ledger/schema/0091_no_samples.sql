-- PostgreSQL samples columns for its planner, and keeps the samples in a catalogue: no name, source's id, card or word of
-- a family may lie there. To set a column's type, even to what it is, takes its former samples away.
ALTER TABLE roster_record ALTER body TYPE text;
ALTER TABLE roster_source ALTER kept TYPE text, ALTER sourced_id TYPE text;
ALTER TABLE payer_name ALTER name TYPE text, ALTER class TYPE text;
ALTER TABLE payer_name_act ALTER name TYPE text, ALTER class TYPE text;
ALTER TABLE other_count ALTER lines TYPE bytea, ALTER result TYPE bytea;
ALTER TABLE contest ALTER note TYPE text;
ALTER TABLE act ALTER attachment TYPE bytea;

-- Citus carries no SET STATISTICS: `sync.ledger.distribution` brings these to the shards that are there already.
SET LOCAL citus.enable_ddl_propagation TO off;
ALTER TABLE roster_record ALTER body SET STATISTICS 0;
ALTER TABLE roster_source ALTER kept SET STATISTICS 0, ALTER sourced_id SET STATISTICS 0;
ALTER TABLE person_surrogate ALTER source_id SET STATISTICS 0;
ALTER TABLE payer_name ALTER name SET STATISTICS 0, ALTER class SET STATISTICS 0;
ALTER TABLE payer_name_act ALTER name SET STATISTICS 0, ALTER class SET STATISTICS 0;
ALTER TABLE other_count ALTER lines SET STATISTICS 0, ALTER result SET STATISTICS 0;
ALTER TABLE contest ALTER note SET STATISTICS 0;
ALTER TABLE act ALTER attachment SET STATISTICS 0;
SET LOCAL citus.enable_ddl_propagation TO on;
