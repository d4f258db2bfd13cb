-- Names and cards that a former version deleted without overwriting them: the roster's pages are written anew, and what
-- is free in the file is filled with zeros, once. Later deletions are overwritten as they come.
PRAGMA secure_delete = ON;

CREATE TABLE roster_copy AS SELECT type, id, record FROM roster;

DELETE FROM roster;

INSERT INTO roster (type, id, record) SELECT type, id, record FROM roster_copy ORDER BY type, id;

DROP TABLE roster_copy;

CREATE TABLE filler (zeros BLOB) STRICT;

INSERT INTO filler (zeros)
SELECT zeroblob(min(max(1, freelist_count * page_size), 900000000)) FROM pragma_freelist_count, pragma_page_size;

DROP TABLE filler;

PRAGMA secure_delete = OFF;
