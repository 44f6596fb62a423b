-- Browsers in which the owner is signed in to the dashboard. Columns are marked as in 0001.sql.
CREATE TABLE owner_sessions (
    id            INTEGER PRIMARY KEY,      -- random
    secret_lookup BLOB NOT NULL UNIQUE,     -- of the cookie's value
    signed_in_by  BLOB NOT NULL,            -- sealed JSON: a link, or an account's address
    signed_in_at  INTEGER NOT NULL,
    seen_at       INTEGER NOT NULL,         -- to the minute
    mac           BLOB NOT NULL
) STRICT;
