-- PostgreSQL samples columns for its planner, and keeps the samples in a catalogue: no name, source's id, card or word of
-- a family may lie there. To set a column's type, even to what it is, takes its former samples away.
ALTER TABLE roster_record ALTER body TYPE text, ALTER body SET STATISTICS 0;
ALTER TABLE roster_source
    ALTER kept TYPE text, ALTER kept SET STATISTICS 0,
    ALTER sourced_id TYPE text, ALTER sourced_id SET STATISTICS 0;
ALTER TABLE person_surrogate ALTER source_id SET STATISTICS 0;
ALTER TABLE payer_name
    ALTER name TYPE text, ALTER name SET STATISTICS 0, ALTER class TYPE text, ALTER class SET STATISTICS 0;
ALTER TABLE payer_name_act
    ALTER name TYPE text, ALTER name SET STATISTICS 0, ALTER class TYPE text, ALTER class SET STATISTICS 0;
ALTER TABLE other_count
    ALTER lines TYPE bytea, ALTER lines SET STATISTICS 0, ALTER result TYPE bytea, ALTER result SET STATISTICS 0;
ALTER TABLE contest ALTER note TYPE text, ALTER note SET STATISTICS 0;
ALTER TABLE act ALTER attachment TYPE bytea, ALTER attachment SET STATISTICS 0;
