-- Acts that a restored backup must not undo. Each is also a signed line in a file beside the database; `written` is set
-- once it stands there.
CREATE TABLE act (
    school text NOT NULL,
    token text NOT NULL, -- random; names the act in the file
    kind text NOT NULL,
    fields text NOT NULL, -- JSON
    noted_at timestamptz NOT NULL DEFAULT now(),
    written boolean NOT NULL DEFAULT false,
    PRIMARY KEY (school, token)
);

CREATE INDEX act_unwritten ON act (school, noted_at) WHERE NOT written;
