-- The first version of a project's document. Never edit a step that has been released: add the next one.

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The journal. A row a revision, in order; rows are never deleted.
CREATE TABLE changes (
    revision INTEGER PRIMARY KEY,
    label    TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('edit', 'undo', 'redo')),
    -- The edit that an undo took back or a redo did again.
    of       INTEGER REFERENCES changes (revision),
    -- Of edits: 'undone' can be redone, 'dropped' was undone before something else was done.
    state    TEXT CHECK (state IN ('done', 'undone', 'dropped')),
    CHECK ((kind = 'edit') = (state IS NOT NULL)),
    CHECK ((kind = 'edit') = (of IS NULL))
) STRICT;
CREATE INDEX changes_state ON changes (state, revision) WHERE state IS NOT NULL;

-- Prompt, answers and source of a pair as JSON: written once, shared by all versions that have these texts.
CREATE TABLE contents (
    id   INTEGER PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

-- Three-letter index over the texts of `contents`; says where a text may occur, the text itself decides.
CREATE VIRTUAL TABLE content_search USING fts5 (text, content='', detail=none, columnsize=0, tokenize='trigram');

-- The state of a pair from one revision until (not including) another; no end: the newest.
CREATE TABLE versions (
    id            INTEGER PRIMARY KEY,
    pair          INTEGER NOT NULL,
    revision_from INTEGER NOT NULL REFERENCES changes (revision),
    revision_to   INTEGER REFERENCES changes (revision),
    content       INTEGER NOT NULL REFERENCES contents (id),
    -- 0 unlabelled, 1 better, 2 tie, 3 both bad, 4 skip: `verdict` without the circumstances.
    state         INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4),
    verdict       TEXT,
    verdict_at    INTEGER,
    -- 0 by the prompt, 1 train, 2 eval.
    split         INTEGER NOT NULL CHECK (split BETWEEN 0 AND 2),
    tags          TEXT NOT NULL,
    note          TEXT NOT NULL,
    reward        REAL NOT NULL,
    behaviour     REAL NOT NULL,
    len_bytes     INTEGER NOT NULL,
    prompt_key    INTEGER NOT NULL,
    CHECK (revision_to > revision_from)
) STRICT;
-- A pair has one newest state.
CREATE UNIQUE INDEX versions_newest ON versions (pair) WHERE revision_to IS NULL;
-- All that a table of a million rows needs to be filtered and sorted.
CREATE INDEX versions_listed ON versions (pair, state, split, len_bytes, verdict_at, prompt_key, content)
    WHERE revision_to IS NULL;
CREATE INDEX versions_pair ON versions (pair, revision_from);
CREATE INDEX versions_from ON versions (revision_from);
CREATE INDEX versions_to ON versions (revision_to) WHERE revision_to IS NOT NULL;

-- Reference answers and retention text. A set is replaced as a whole and kept as long as a run has seen it.
CREATE TABLE text_sets (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    kind  TEXT NOT NULL CHECK (kind IN ('references', 'retention', 'probes')),
    at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE texts (
    text_set INTEGER NOT NULL REFERENCES text_sets (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (text_set, position)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: the id of a deleted run is not given to another.
CREATE TABLE runs (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL,
    method        TEXT NOT NULL,
    status        TEXT NOT NULL,
    -- Which process has a live run in hand.
    owner         TEXT,
    created_ms    INTEGER NOT NULL,
    config_toml   TEXT NOT NULL,
    revision      INTEGER NOT NULL,
    reference_set INTEGER REFERENCES text_sets (id),
    retention_set INTEGER REFERENCES text_sets (id),
    parent        INTEGER REFERENCES runs (id) ON DELETE SET NULL,
    total_steps   INTEGER NOT NULL DEFAULT 0,
    message       TEXT
) STRICT;

CREATE TABLE steps (
    run     INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step    INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE metric_names (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
-- NULL: not a number.
CREATE TABLE metrics (
    run    INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    metric INTEGER NOT NULL REFERENCES metric_names (id),
    step   INTEGER NOT NULL,
    value  REAL,
    PRIMARY KEY (run, metric, step)
) STRICT, WITHOUT ROWID;

-- Every pair's own history.
CREATE TABLE visits (
    run    INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    pair   INTEGER NOT NULL,
    step   INTEGER NOT NULL,
    margin REAL,
    push   REAL,
    PRIMARY KEY (run, pair, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX visits_step ON visits (run, step);

CREATE TABLE samples (
    run   INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step  INTEGER NOT NULL,
    probe INTEGER NOT NULL,
    body  TEXT NOT NULL,
    PRIMARY KEY (run, step, probe)
) STRICT, WITHOUT ROWID;

CREATE TABLE log (
    id    INTEGER PRIMARY KEY,
    run   INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step  INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('info', 'warning', 'error')),
    text  TEXT NOT NULL,
    -- Drawn on the charts.
    mark  INTEGER NOT NULL CHECK (mark IN (0, 1))
) STRICT;
CREATE INDEX log_run ON log (run, id);

-- Log-probs of policies at step 0, named by everything they depend on; little-endian f32, one a token.
CREATE TABLE reference_log_probs (
    key       BLOB PRIMARY KEY,
    log_probs BLOB NOT NULL
) STRICT, WITHOUT ROWID;
