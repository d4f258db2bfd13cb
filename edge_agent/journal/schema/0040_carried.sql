-- Where an event of an epoch that is not in this file stands: the row that carries it. Such an event comes from a
-- journal that was set aside, and the rules know it under its old name.
CREATE TABLE carried (
    old_epoch TEXT NOT NULL,
    old_seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (old_epoch, old_seq)
) STRICT, WITHOUT ROWID;
