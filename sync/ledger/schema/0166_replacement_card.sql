-- Cards that a school's desk gave in the place of lost ones, on their way between the kiosks of the school: one a
-- person. The key that opens the numbers is on the kiosks, never here. A row goes with its person; one that ended stays
-- without its number, so that every kiosk hears of it. Every statement is about one school.
CREATE TABLE replacement_card (
    school text NOT NULL REFERENCES school (school),
    person text NOT NULL,
    version bigint NOT NULL, -- of the school's cards: each change has the next number
    id text NOT NULL, -- the credential's, as events name it
    blocked text NOT NULL, -- the roster's ids of the former cards, as a JSON list
    sealed bytea, -- NULL: the number stays at its kiosk, or it has ended
    ended boolean NOT NULL,
    made_at text NOT NULL,
    device text NOT NULL, -- that brought it
    PRIMARY KEY (school, person)
);
CREATE INDEX replacement_card_version ON replacement_card (school, version);

-- Beside the school's own row, as with the codes.
CREATE TABLE replacement_card_head (
    school text PRIMARY KEY REFERENCES school (school),
    version bigint NOT NULL
);

-- A family's address may hear of a new card, too.
ALTER TABLE webhook_delivery DROP CONSTRAINT webhook_delivery_kind_check;
ALTER TABLE webhook_delivery ADD CONSTRAINT webhook_delivery_kind_check
    CHECK (kind IN ('entry', 'exit', 'meal', 'voided', 'card'));
