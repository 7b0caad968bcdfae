-- Texts lie packed, in blocks of neighbours: a line of JSON each (prompt, answers and source of a pair), all of them one
-- frame of zstd. A block holds the contents from `first` to `last`; a line that is empty was left out of a bundle.
CREATE TABLE packed (
    first  INTEGER PRIMARY KEY,
    last   INTEGER NOT NULL CHECK (last >= first),
    bodies BLOB NOT NULL
) STRICT;
-- Which letters follow one another in the texts of a block: a search reads the blocks that may hold its words.
CREATE TABLE signatures (
    first INTEGER PRIMARY KEY,
    bits  BLOB NOT NULL
) STRICT;

-- Files that pairs were imported from. 0 and 1 stand for none: all by hand, and an answer written by a model.
CREATE TABLE files (
    id   INTEGER PRIMARY KEY CHECK (id > 1),
    path TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO files (id, path)
    SELECT 1 + row_number() OVER (ORDER BY path), path
    FROM (SELECT DISTINCT json_extract(body, '$.source.file') AS path FROM contents) WHERE path IS NOT NULL;

-- `versions` anew: what a table is filtered by is in its index, and contents are no rows any more.
CREATE TABLE new_versions (
    id            INTEGER PRIMARY KEY,
    pair          INTEGER NOT NULL,
    revision_from INTEGER NOT NULL REFERENCES changes (revision),
    revision_to   INTEGER REFERENCES changes (revision),
    content       INTEGER NOT NULL,
    -- 0 unlabelled, 1 better, 2 tie, 3 both bad, 4 skip: `verdict` without the circumstances.
    state         INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4),
    -- Of a better answer: 1 slightly, 2 clearly, 3 strongly.
    strength      INTEGER CHECK (strength BETWEEN 1 AND 3),
    verdict       TEXT,
    verdict_at    INTEGER,
    -- 0 by the prompt, 1 train, 2 eval.
    split         INTEGER NOT NULL CHECK (split BETWEEN 0 AND 2),
    -- 0 by hand, 1 by a model, else one of `files`.
    source        INTEGER NOT NULL,
    tags          TEXT NOT NULL,
    note          TEXT NOT NULL,
    reward        REAL NOT NULL,
    behaviour     REAL NOT NULL,
    len_bytes     INTEGER NOT NULL,
    prompt_key    INTEGER NOT NULL,
    CHECK (revision_to > revision_from)
) STRICT;
INSERT INTO new_versions
    SELECT versions.id, pair, revision_from, revision_to, content, state,
        CASE json_extract(verdict, '$.choice.better.strength')
            WHEN 'slightly' THEN 1 WHEN 'clearly' THEN 2 WHEN 'strongly' THEN 3 END,
        verdict, verdict_at, split,
        coalesce(
            (SELECT files.id FROM files WHERE path = json_extract(body, '$.source.file')),
            -- Inside a text the quotes would stand behind backslashes.
            instr(body, '"origin":{"model":') > 0 OR instr(body, '{"edited":{"from":{"model":') > 0),
        tags, note, reward, behaviour, len_bytes, prompt_key
    FROM versions JOIN contents ON contents.id = versions.content ORDER BY versions.id;
-- Of imports that came to nothing.
DELETE FROM contents WHERE id NOT IN (SELECT content FROM new_versions);
DROP TABLE versions;
ALTER TABLE new_versions RENAME TO versions;

-- A pair has one newest state.
CREATE UNIQUE INDEX versions_newest ON versions (pair) WHERE revision_to IS NULL;
-- All that a table of a million rows needs to be counted, filtered and sorted.
CREATE INDEX versions_listed ON versions (state, split, pair, strength, source, len_bytes, verdict_at, prompt_key, content)
    WHERE revision_to IS NULL;
-- Many pairs have no tag.
CREATE INDEX versions_tagged ON versions (tags, pair) WHERE revision_to IS NULL AND tags <> '[]';
-- Few pairs are pinned to a side of the hold-out; all others of their prompts go with them.
CREATE INDEX versions_pinned ON versions (prompt_key, split) WHERE revision_to IS NULL AND split > 0;
CREATE INDEX versions_pair ON versions (pair, revision_from);
CREATE INDEX versions_from ON versions (revision_from);
CREATE INDEX versions_to ON versions (revision_to) WHERE revision_to IS NOT NULL;

DROP TABLE content_search;
DROP TABLE unindexed;

-- Only the texts of an import are in the document before it counts: blocks by their first and last content.
DROP TABLE incoming;
DELETE FROM imports;
CREATE TABLE brought (
    import INTEGER NOT NULL,
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (import, first)
) STRICT, WITHOUT ROWID;
-- What `contents` holds is packed right after this; then it goes.
