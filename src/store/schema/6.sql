-- A fork goes on from the checkpoint of this step of its parent, 0 for the same beginning. NULL: no fork.
ALTER TABLE runs ADD COLUMN parent_step INTEGER;
-- Pairs that a run does not train on, though its data has them, as JSON; NULL: none.
ALTER TABLE runs ADD COLUMN left_out TEXT;
-- The time that chat templates are told, where it is not `created_ms`: a fork keeps its parent's.
ALTER TABLE runs ADD COLUMN day_ms INTEGER;

-- Few pairs are pinned to a side of the hold-out; all others of their prompts go with them.
CREATE INDEX versions_pinned ON versions (prompt_key, split) WHERE revision_to IS NULL AND split > 0;
