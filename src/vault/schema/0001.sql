-- Columns marked "sealed" hold src/vault/seal.rs's format; columns marked "hint" stand outside the
-- row's MAC and decide nothing. Times are Unix seconds.

CREATE TABLE vault (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    vault_id        BLOB NOT NULL,
    passphrase_salt BLOB,
    created_at      INTEGER NOT NULL,
    last_backup_at  INTEGER                 -- hint
) STRICT;

CREATE TABLE data_keys (
    purpose     TEXT NOT NULL,              -- data | index
    term        INTEGER NOT NULL,
    root_id     BLOB NOT NULL,              -- which root key wraps it
    wrapped     BLOB NOT NULL,
    check_value BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (purpose, term, root_id)
) STRICT;

CREATE TABLE users (
    id            INTEGER PRIMARY KEY,      -- src/vault/rows.rs: found by the lookup's first bits
    sub_lookup    BLOB NOT NULL UNIQUE,
    email_lookup  BLOB,                     -- the latest verified address
    profile       BLOB NOT NULL,            -- sealed JSON: sub, e-mail, name, picture, admission
    session_epoch INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    revision      INTEGER NOT NULL,
    mac           BLOB NOT NULL
) STRICT;
CREATE INDEX users_by_email ON users (email_lookup) WHERE email_lookup IS NOT NULL;

CREATE TABLE grants (
    id                 INTEGER PRIMARY KEY, -- src/vault/rows.rs: near the user's
    user_id            INTEGER NOT NULL REFERENCES users (id),
    sub_lookup         BLOB NOT NULL,       -- the user's
    client_id          TEXT NOT NULL,       -- the OAuth client that issued it
    scopes             TEXT NOT NULL,
    state              TEXT NOT NULL,
    cause              TEXT,
    since              INTEGER NOT NULL,    -- of the state
    token_generation   INTEGER NOT NULL,    -- counts refresh tokens
    revision           INTEGER NOT NULL,
    refresh_token      BLOB,                -- sealed
    refresh_expires_at INTEGER,
    refresh_prefix     BLOB,                -- keyed lookups of the forms in which
    refresh_hash       BLOB,                -- Google's security events name a refresh token
    refresh_hash_b64   BLOB,
    access_token       BLOB,                -- sealed
    access_expires_at  INTEGER,
    connected_at       INTEGER NOT NULL,
    refreshed_at       INTEGER NOT NULL,    -- Google last accepted the refresh token
    refreshed_day      INTEGER NOT NULL,    -- refreshed_at / 86400, so that its index seldom changes
    revoke_until       INTEGER,             -- while revoking: when to give Google up
    mac                BLOB NOT NULL,
    UNIQUE (user_id, client_id)
) STRICT;
CREATE INDEX grants_by_state ON grants (state, cause, client_id);
CREATE INDEX grants_by_refresh ON grants (client_id, refreshed_day) WHERE state = 'active';
CREATE INDEX grants_by_expiry ON grants (refresh_expires_at) WHERE refresh_expires_at IS NOT NULL;

CREATE TABLE api_keys (
    id           INTEGER PRIMARY KEY,       -- random
    key_id       TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    hash         BLOB NOT NULL,             -- keyed
    actions      TEXT NOT NULL,
    users        TEXT NOT NULL,             -- all | row ids
    clients      TEXT,
    scopes       TEXT,
    hosts        TEXT,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    mac          BLOB NOT NULL,
    last_used_at INTEGER                    -- hint
) STRICT;

CREATE TABLE redemptions (
    id                 INTEGER PRIMARY KEY, -- begins with answered_at: rows of one commit share pages
    code_lookup        BLOB NOT NULL UNIQUE,
    idempotency_lookup BLOB,
    request            BLOB NOT NULL,       -- keyed hash of the whole request
    user_id            INTEGER,             -- whom the answer is about, so that it goes with them
    answer             BLOB,                -- sealed; gone after ten minutes, so outside the MAC
    answered_at        INTEGER NOT NULL,
    mac                BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX redemptions_by_key ON redemptions (idempotency_lookup)
    WHERE idempotency_lookup IS NOT NULL;

CREATE TABLE documents (
    kind        TEXT PRIMARY KEY,           -- discovery | jwks
    body        BLOB NOT NULL,
    fetched_at  INTEGER NOT NULL,
    fresh_until INTEGER NOT NULL,
    mac         BLOB NOT NULL
) STRICT;

CREATE TABLE signing_keys (
    id          INTEGER PRIMARY KEY,        -- random
    kid         TEXT NOT NULL UNIQUE,
    private_key BLOB NOT NULL,              -- sealed PKCS#8
    public_key  BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    mac         BLOB NOT NULL
) STRICT;
