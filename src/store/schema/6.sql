-- A fork goes on from the checkpoint of this step of its parent, 0 for the same beginning. NULL: no fork.
ALTER TABLE runs ADD COLUMN parent_step INTEGER;
-- Pairs that a run does not train on, though its data has them, as JSON; NULL: none.
ALTER TABLE runs ADD COLUMN left_out TEXT;
-- The time that chat templates are told, where it is not `created_ms`: a fork keeps its parent's.
ALTER TABLE runs ADD COLUMN day_ms INTEGER;

-- Few pairs are pinned to a side of the hold-out; all others of their prompts go with them.
CREATE INDEX versions_pinned ON versions (prompt_key, split) WHERE revision_to IS NULL AND split > 0;

-- Labels that joined a run on its way: after this step it trains on the pairs of this revision.
CREATE TABLE take_ins (
    run      INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step     INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    added    INTEGER NOT NULL,
    changed  INTEGER NOT NULL,
    removed  INTEGER NOT NULL,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;
-- Whether labels made meanwhile are to join at its next end of an epoch.
ALTER TABLE runs ADD COLUMN takes_in INTEGER NOT NULL DEFAULT 0 CHECK (takes_in IN (0, 1));

-- Weights under which pairs were scored: what runs start from, or a run's checkpoint.
CREATE TABLE scorings (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Of everything that the scores depend on besides the texts: weights, tokenizer, template, lengths.
    weights TEXT NOT NULL UNIQUE,
    -- By which they are found without loading a model; the newest of a name counts.
    name    TEXT NOT NULL,
    -- NULL: what runs start from.
    run     INTEGER REFERENCES runs (id) ON DELETE CASCADE,
    step    INTEGER,
    -- The same pairs under the weights that the run started from; NULL for those themselves.
    start   INTEGER REFERENCES scorings (id),
    CHECK ((run IS NULL) = (step IS NULL))
) STRICT;
CREATE INDEX scorings_name ON scorings (name, id);

-- Σ log-probs of two answers of a content, whichever of them is chosen; NULL where they cannot be scored.
CREATE TABLE scores (
    scoring       INTEGER NOT NULL REFERENCES scorings (id) ON DELETE CASCADE,
    content       INTEGER NOT NULL,
    -- Places of the answers, the lower first.
    a             INTEGER NOT NULL,
    b             INTEGER NOT NULL,
    log_prob_a    REAL,
    log_prob_b    REAL,
    tokens_a      INTEGER NOT NULL,
    tokens_b      INTEGER NOT NULL,
    PRIMARY KEY (scoring, content, a, b),
    CHECK (a < b)
) STRICT, WITHOUT ROWID;
