-- What people said about runs, change by change: the way back. Name and marks before and after as JSON.
CREATE TABLE run_edits (
    id     INTEGER PRIMARY KEY,
    run    INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    before TEXT NOT NULL,
    after  TEXT NOT NULL,
    undone INTEGER NOT NULL DEFAULT 0 CHECK (undone IN (0, 1))
) STRICT;
