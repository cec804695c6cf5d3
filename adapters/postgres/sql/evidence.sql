-- The intervals that gates have seen and where the counters stood, one cursor a rollout.

-- name: intervals
-- $1 rollout
SELECT sequence, step, weight, opened_at, closed_at, candidate, stable, arms, bounds_ms, resets
FROM evidence_intervals
WHERE rollout_id = $1
ORDER BY sequence

-- name: size
-- $1 rollout. They are numbered from 0 without a gap.
SELECT coalesce(max(sequence) + 1, 0) AS size FROM evidence_intervals WHERE rollout_id = $1

-- name: interval
-- $1 rollout, $2 sequence
SELECT sequence, step, weight, opened_at, closed_at, candidate, stable, arms, bounds_ms, resets
FROM evidence_intervals
WHERE rollout_id = $1 AND sequence = $2

-- name: cursor
-- $1 rollout
SELECT cursor FROM evidence_cursors WHERE rollout_id = $1

-- name: project
-- $1 rollout
SELECT project_id FROM rollouts WHERE id = $1

-- name: append_interval
-- $1 project, $2 rollout, $3 sequence, $4 step, $5 weight, $6 opened, $7 closed, $8 candidate's counts,
-- $9 stable's, $10 those of a trial's arms instead, $11 bounds, $12 resets
INSERT INTO evidence_intervals (
    project_id, rollout_id, sequence, step, weight, opened_at, closed_at, candidate,
    stable, arms, bounds_ms, resets
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (rollout_id, sequence) DO NOTHING
RETURNING sequence

-- name: keep_cursor
-- $1 project, $2 rollout, $3 cursor. A cursor that opens earlier than the one that stands
-- would count twice what lies between.
INSERT INTO evidence_cursors AS standing (project_id, rollout_id, cursor)
VALUES ($1, $2, $3)
ON CONFLICT (rollout_id) DO UPDATE SET cursor = excluded.cursor
WHERE ((excluded.cursor ->> 'opened_at')::double precision
    < (standing.cursor ->> 'opened_at')::double precision) IS NOT TRUE
RETURNING rollout_id

-- name: baseline
-- $1 rollout
SELECT baseline FROM evidence_baselines WHERE rollout_id = $1

-- name: keep_baseline
-- $1 project, $2 rollout, $3 baseline. The first one stands for good.
INSERT INTO evidence_baselines (project_id, rollout_id, baseline)
VALUES ($1, $2, $3)
ON CONFLICT (rollout_id) DO NOTHING
