-- Answers that a run sampled to learn from, as JSON.
CREATE TABLE rollouts (
    run  INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, step)
) STRICT;
