-- Where blocks begin and end, for whoever has no use for their texts: every block is in it, with a signature or without.
CREATE INDEX packed_places ON packed (first, last);
-- Signatures end with a sum of their bits from here on: those that are there get theirs right after this.
