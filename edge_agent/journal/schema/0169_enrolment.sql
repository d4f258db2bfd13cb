-- Consents that were noted at the desk, from a signed paper: the last word of each person and scope, as the roster would
-- write it. Roster and desk count together; the later word decides (sync/contract/consents.py).
CREATE TABLE desk_consent (
    person TEXT NOT NULL,
    scope TEXT NOT NULL,
    record BLOB NOT NULL,  -- a Consent, JSON
    PRIMARY KEY (person, scope)
) STRICT, WITHOUT ROWID;

-- Enrolment day: whom the helper need not call again, and why.
CREATE TABLE enrolment_mark (
    person TEXT PRIMARY KEY,
    mark TEXT NOT NULL CHECK (mark IN ('absent', 'refused', 'one_hand'))
) STRICT, WITHOUT ROWID;
