-- The last step of a changing code that each person has used, here or at another kiosk of the school. A code of this
-- step or an earlier one is taken no more.
CREATE TABLE code_use (
    person TEXT PRIMARY KEY,
    step INTEGER NOT NULL CHECK (step >= 0)
) STRICT, WITHOUT ROWID;
