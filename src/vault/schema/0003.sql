CREATE TABLE connect_links (
    id            INTEGER PRIMARY KEY,      -- random
    secret_lookup BLOB NOT NULL UNIQUE,     -- of the secret in the link's address
    sub_lookup    BLOB,                     -- of the person, where they were known
    email_lookup  BLOB,                     -- of the address it was made for
    client_id     TEXT NOT NULL,            -- the OAuth client
    scopes        TEXT,                     -- instead of the client's
    person        BLOB NOT NULL,            -- sealed JSON: sub, e-mail
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    mac           BLOB NOT NULL
) STRICT;
CREATE INDEX connect_links_by_sub ON connect_links (sub_lookup) WHERE sub_lookup IS NOT NULL;
CREATE INDEX connect_links_by_email ON connect_links (email_lookup) WHERE email_lookup IS NOT NULL;
CREATE INDEX connect_links_by_expiry ON connect_links (expires_at);
