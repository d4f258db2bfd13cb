-- Consents, and ends of consents, that operators noted at a desk: a queue. They wait here, under the names of their events,
-- until the roster of the school takes them: a batch waits for no roster. Every statement is about one school.
CREATE TABLE desk_word (
    school text NOT NULL REFERENCES school (school),
    device text NOT NULL,
    epoch text NOT NULL,
    seq bigint NOT NULL,
    person text NOT NULL,
    scope text NOT NULL,
    given_at text NOT NULL, -- UTC; empty: the word is an end
    given_by text NOT NULL,
    paper text NOT NULL,
    withdrawn_at text NOT NULL, -- UTC; empty: the word is a consent
    PRIMARY KEY (school, device, epoch, seq)
);
