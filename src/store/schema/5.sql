-- What was answered to the prompts of a run's rule set, and what the rules said of it.
CREATE TABLE judged (
    run      INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step     INTEGER NOT NULL,
    position INTEGER NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (run, step, position)
) STRICT, WITHOUT ROWID;
