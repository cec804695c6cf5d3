-- Trials between several variants: evidence has the counts of all of their arms, and a rollout says
-- which challenger was chosen in the end.

-- migrate:up
SET LOCAL lock_timeout = '4s';

ALTER TABLE evidence_intervals
    ADD COLUMN arms jsonb CHECK (jsonb_typeof(arms) = 'array'),
    ALTER COLUMN weight DROP NOT NULL,
    ALTER COLUMN candidate DROP NOT NULL,
    ALTER COLUMN stable DROP NOT NULL,
    ADD CONSTRAINT evidence_intervals_of_pair_or_arms CHECK (
        num_nulls(weight, candidate, stable) = CASE WHEN arms IS NULL THEN 0 ELSE 3 END
    );
ALTER TABLE rollouts ADD COLUMN chosen text NOT NULL DEFAULT '';

-- migrate:down
SET LOCAL lock_timeout = '4s';

ALTER TABLE rollouts DROP COLUMN chosen;
DELETE FROM evidence_intervals WHERE arms IS NOT NULL;
ALTER TABLE evidence_intervals
    DROP CONSTRAINT evidence_intervals_of_pair_or_arms,
    DROP COLUMN arms,
    ALTER COLUMN weight SET NOT NULL,
    ALTER COLUMN candidate SET NOT NULL,
    ALTER COLUMN stable SET NOT NULL;
