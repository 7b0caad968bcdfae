-- What people keep about a run: pinned, archived, its colour, tags and a note, as JSON. NULL: nothing.
ALTER TABLE runs ADD COLUMN marks TEXT;
