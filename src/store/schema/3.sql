-- Folders that hold a run's checkpoints beside its own, a JSON list; the last one is written to. NULL: only its own.
ALTER TABLE runs ADD COLUMN elsewhere TEXT;
