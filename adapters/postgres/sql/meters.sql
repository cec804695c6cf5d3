-- The intervals of meters beside the gateway's, each a stream with a cursor of its own.

-- name: intervals
-- $1 rollout
SELECT meter, sequence, step, weight, opened_at, closed_at, candidate, stable, NULL AS arms,
    bounds_ms, resets
FROM meter_intervals
WHERE rollout_id = $1
ORDER BY meter, sequence

-- name: size
-- $1 rollout. Those of a meter are numbered from 0 without a gap.
SELECT coalesce(sum(size), 0) AS size
FROM (SELECT max(sequence) + 1 AS size FROM meter_intervals WHERE rollout_id = $1 GROUP BY meter) AS meters

-- name: interval
-- $1 rollout, $2 meter, $3 sequence
SELECT sequence, step, weight, opened_at, closed_at, candidate, stable, NULL AS arms, bounds_ms, resets
FROM meter_intervals
WHERE rollout_id = $1 AND meter = $2 AND sequence = $3

-- name: cursors
-- $1 rollout
SELECT meter, cursor FROM meter_cursors WHERE rollout_id = $1

-- name: append_interval
-- $1 project, $2 rollout, $3 meter, $4 sequence, $5 step, $6 weight, $7 opened, $8 closed,
-- $9 candidate's counts, $10 stable's, $11 bounds, $12 resets
INSERT INTO meter_intervals (
    project_id, rollout_id, meter, sequence, step, weight, opened_at, closed_at, candidate,
    stable, bounds_ms, resets
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (rollout_id, meter, sequence) DO NOTHING
RETURNING sequence

-- name: keep_cursor
-- $1 project, $2 rollout, $3 meter, $4 cursor; an earlier one than stands is not kept.
INSERT INTO meter_cursors AS standing (project_id, rollout_id, meter, cursor)
VALUES ($1, $2, $3, $4)
ON CONFLICT (rollout_id, meter) DO UPDATE SET cursor = excluded.cursor
WHERE ((excluded.cursor ->> 'opened_at')::double precision
    < (standing.cursor ->> 'opened_at')::double precision) IS NOT TRUE
RETURNING rollout_id
