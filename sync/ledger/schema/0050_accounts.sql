-- People who read the ledger's pages. `school` is '' for those of the city: city and auditor.
CREATE TABLE account (
    school text NOT NULL,
    login text NOT NULL,
    role text NOT NULL CHECK (role IN ('school', 'caterer', 'city', 'auditor')),
    name text NOT NULL, -- who it is, as the log of views shows it
    password text NOT NULL, -- Argon2id in PHC form
    totp_secret text NOT NULL, -- base32
    totp_step bigint NOT NULL DEFAULT 0, -- the newest time step that was used: no code counts twice
    failures int NOT NULL DEFAULT 0, -- since the last good sign-in
    failed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    CHECK ((school = '') = (role IN ('city', 'auditor'))),
    PRIMARY KEY (school, login)
);

-- Codes for the day on which the phone is lost; only hashes, each good for one sign-in.
CREATE TABLE recovery_code (
    school text NOT NULL,
    login text NOT NULL,
    code_hash bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (school, login, code_hash),
    FOREIGN KEY (school, login) REFERENCES account
);

-- Open browser sessions; only a hash of the cookie.
CREATE TABLE page_session (
    school text NOT NULL,
    login text NOT NULL,
    token_hash bytea NOT NULL,
    form_token text NOT NULL, -- in every form, against forged requests
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (school, login, token_hash),
    FOREIGN KEY (school, login) REFERENCES account
);

-- Every look at a person, or at a list of them.
CREATE TABLE page_view (
    school text NOT NULL, -- whose people were looked at
    seen_at timestamptz NOT NULL DEFAULT now(),
    login text NOT NULL,
    role text NOT NULL,
    subject text NOT NULL, -- the person's opaque id, or the day of a list
    path text NOT NULL
);
CREATE INDEX page_view_time ON page_view (school, seen_at);
