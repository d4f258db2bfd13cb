-- The city's: the keys that receipts and answers were signed with, in their order; the last is in force. Each is signed
-- by the one before it. A process whose folder has another key does not start.
CREATE TABLE receipt_key (
    number int PRIMARY KEY,
    public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
    since text NOT NULL, -- as it was signed
    signature bytea NOT NULL -- by the key before it; '' for the first
);
