-- Since when a former stable is one, told apart from its later retirement. A version that was gone
-- back from has no such moment: it must prove itself again.

-- migrate:up
SET LOCAL lock_timeout = '4s';

ALTER TABLE traffic_variants ADD COLUMN superseded_at timestamptz;

-- migrate:down
SET LOCAL lock_timeout = '4s';

ALTER TABLE traffic_variants DROP COLUMN superseded_at;
