-- A run that was handed over to another machine, and how much of what is told there has been heard: JSON, see `away.rs`.
-- NULL: it never was, or went on here since.
ALTER TABLE runs ADD COLUMN away TEXT;
