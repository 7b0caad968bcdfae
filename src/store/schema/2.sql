-- In what a run's numbers are kept and multiplied, as JSON; NULL until its model was loaded.
ALTER TABLE runs ADD COLUMN arithmetic TEXT;
