-- What happened, and how often. Columns are marked as in 0001.sql. An event outlives the person it is about:
-- what is personal in it is sealed in one column, which is emptied when the person is forgotten.

CREATE TABLE events (
    id        INTEGER PRIMARY KEY AUTOINCREMENT, -- grows with each event, and none is given twice
    at        INTEGER NOT NULL,
    kind      TEXT NOT NULL,                -- grant.died
    severity  INTEGER NOT NULL,             -- 0 info, 1 notice, 2 warning
    actor     TEXT NOT NULL,                -- owner | key | user | locum
    via       TEXT,                         -- dashboard | socket | key
    key_id    TEXT,                         -- the API key's public half
    key_name  TEXT,                         -- what the owner called it then
    user_id   INTEGER,                      -- a row of users, or one that is gone: no foreign key
    client_id TEXT,                         -- the OAuth client
    details   TEXT NOT NULL,                -- JSON of what is not personal
    personal  BLOB,                         -- sealed JSON: address, the owner's name, path
    mac       BLOB NOT NULL
) STRICT;
CREATE INDEX events_by_time ON events (at);
CREATE INDEX events_by_user ON events (user_id) WHERE user_id IS NOT NULL;

CREATE TABLE counts (
    id   INTEGER PRIMARY KEY,               -- random
    hour INTEGER NOT NULL,                  -- hours since 1970 in UTC
    what TEXT NOT NULL,                     -- exchanges, refreshes_failed, …
    n    INTEGER NOT NULL,
    mac  BLOB NOT NULL,
    UNIQUE (hour, what)
) STRICT;
