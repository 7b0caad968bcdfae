-- A large import comes in by many short transactions and counts all at once at its end.
CREATE TABLE imports (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Which process is at it; without a living one nothing of it will ever count.
    owner TEXT NOT NULL,
    -- 'done': its pairs are in `versions`; what is left of it here can go. 'dropped': its texts can go as well.
    state TEXT NOT NULL CHECK (state IN ('coming', 'done', 'dropped'))
) STRICT;
-- The pairs of an import so far, by their place in it; the other columns are those of `versions`.
CREATE TABLE incoming (
    import     INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    content    INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    verdict    TEXT,
    verdict_at INTEGER,
    split      INTEGER NOT NULL,
    tags       TEXT NOT NULL,
    note       TEXT NOT NULL,
    reward     REAL NOT NULL,
    behaviour  REAL NOT NULL,
    len_bytes  INTEGER NOT NULL,
    prompt_key INTEGER NOT NULL,
    PRIMARY KEY (import, position)
) STRICT, WITHOUT ROWID;

-- Texts that `content_search` does not know yet, from one id to another, both included: a search reads them all.
CREATE TABLE unindexed (
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL,
    CHECK (last >= first)
) STRICT;
-- Few large pieces are merged less often than many small ones.
INSERT INTO content_search (content_search, rank) VALUES ('hashsize', 67108864);
INSERT INTO content_search (content_search, rank) VALUES ('automerge', 16);

-- Made anew with a checksum, of key and log-probs together, so that a damaged entry is found. What was cached before is
-- computed again when a run needs it.
DROP TABLE reference_log_probs;
CREATE TABLE reference_log_probs (
    key       BLOB PRIMARY KEY,
    log_probs BLOB NOT NULL,
    checksum  BLOB NOT NULL
) STRICT, WITHOUT ROWID;
