-- Addresses that hear of a school's visits, and what they are to hear: each kind of news about each entry once.
CREATE TABLE webhook (
    school text NOT NULL REFERENCES school,
    webhook text NOT NULL, -- a random name
    url text NOT NULL,
    added_by text NOT NULL,
    added_at timestamptz NOT NULL,
    retired_at timestamptz,
    PRIMARY KEY (school, webhook)
);

CREATE TABLE webhook_delivery (
    school text NOT NULL,
    webhook text NOT NULL,
    device text NOT NULL, -- of the entry, as are epoch and seq
    epoch text NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('entry', 'exit', 'meal', 'voided')),
    body bytea NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL, -- the next attempt
    delivered_at timestamptz,
    failure text NOT NULL DEFAULT '', -- of the last attempt
    PRIMARY KEY (school, webhook, device, epoch, seq, kind),
    FOREIGN KEY (school, webhook) REFERENCES webhook
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (due_at) WHERE delivered_at IS NULL;
