-- The mirror of a person's Drive app data with a folder. Columns are marked as in 0001.sql. Rows go with
-- their mirror, and a mirror with its user.

CREATE TABLE mirrors (
    id          INTEGER PRIMARY KEY,        -- random
    user_id     INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    project     TEXT NOT NULL,              -- the Google Cloud project whose app data it is
    marker      TEXT NOT NULL,              -- what the folder's marker file says
    store       TEXT NOT NULL UNIQUE,       -- the folder of the kept versions
    direction   TEXT NOT NULL,              -- of the last run
    stage       TEXT NOT NULL,              -- new | accepted | settled
    root_id     TEXT,                       -- the real id of the appDataFolder
    page_token  TEXT,                       -- where the changes feed goes on
    held        TEXT,                       -- why the last run waits for a person
    last_run    TEXT,                       -- JSON of numbers
    last_run_at INTEGER,
    last_ok_at  INTEGER,
    created_at  INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    mac         BLOB NOT NULL,
    UNIQUE (user_id, project)
) STRICT;

-- The last state both sides agreed on, a row for each path.
CREATE TABLE mirror_entries (
    id        INTEGER PRIMARY KEY,          -- random
    mirror_id INTEGER NOT NULL REFERENCES mirrors (id) ON DELETE CASCADE,
    lookup    BLOB NOT NULL,                -- keyed, of the path
    facts     BLOB NOT NULL,                -- sealed JSON
    mac       BLOB NOT NULL,
    UNIQUE (mirror_id, lookup)
) STRICT;

-- What Drive holds as of page_token, a row for each file or folder.
CREATE TABLE mirror_remote (
    id        INTEGER PRIMARY KEY,          -- random
    mirror_id INTEGER NOT NULL REFERENCES mirrors (id) ON DELETE CASCADE,
    lookup    BLOB NOT NULL,                -- keyed, of the file's id
    facts     BLOB NOT NULL,                -- sealed JSON
    mac       BLOB NOT NULL,
    UNIQUE (mirror_id, lookup)
) STRICT;

-- Contents that were kept before they were overwritten or deleted on either side.
CREATE TABLE mirror_versions (
    id        INTEGER PRIMARY KEY,          -- random
    mirror_id INTEGER NOT NULL REFERENCES mirrors (id) ON DELETE CASCADE,
    file      TEXT NOT NULL UNIQUE,         -- the file's random name in the store
    why       TEXT NOT NULL,
    size      INTEGER NOT NULL,
    kept_at   INTEGER NOT NULL,
    facts     BLOB NOT NULL,                -- sealed JSON: path, MD5
    mac       BLOB NOT NULL
) STRICT;
CREATE INDEX mirror_versions_by_mirror ON mirror_versions (mirror_id);
