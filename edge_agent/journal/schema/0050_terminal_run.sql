-- Rows of terminals whose clock was doubted: one line for each run of a wrong clock, in which all rows are off by the
-- same. `confirmed_ms`: how far a named person has confirmed it to be ahead; NULL while its rows are held.
CREATE TABLE terminal_run (
    boot TEXT PRIMARY KEY,
    offset_s INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    first_at TEXT NOT NULL,
    last_at TEXT NOT NULL,
    confirmed_ms INTEGER
) STRICT, WITHOUT ROWID;
