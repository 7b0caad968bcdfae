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
