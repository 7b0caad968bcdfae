-- A large import gives its pairs their states before they count: the ids and the revision that are kept for it. NULL: none
-- (yet, or any more).
ALTER TABLE imports ADD COLUMN first_pair INTEGER;
ALTER TABLE imports ADD COLUMN last_pair INTEGER;
ALTER TABLE imports ADD COLUMN revision INTEGER;

-- `brought` names contents from here on, no longer blocks, so that a part of a block can be cleared away too.
UPDATE brought SET last = coalesce((SELECT packed.last FROM packed WHERE packed.first = brought.last), last);
