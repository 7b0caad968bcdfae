-- What the texts of a content are like to what runs start from: the mean of its last hidden states, made small.
CREATE TABLE embeddings (
    scoring INTEGER NOT NULL REFERENCES scorings (id) ON DELETE CASCADE,
    content INTEGER NOT NULL,
    body    BLOB NOT NULL,
    PRIMARY KEY (scoring, content)
) STRICT, WITHOUT ROWID;
