-- What gates without statistics have read.

-- name: readings
-- $1 rollout
SELECT gate, variant, sequence, step, taken_at, series, error
FROM gate_readings
WHERE rollout_id = $1
ORDER BY gate, variant, sequence

-- name: size
-- $1 rollout
SELECT count(*) AS size FROM gate_readings WHERE rollout_id = $1

-- name: one
-- $1 rollout, $2 gate, $3 variant, $4 sequence
SELECT gate, variant, sequence, step, taken_at, series, error
FROM gate_readings
WHERE rollout_id = $1 AND gate = $2 AND variant = $3 AND sequence = $4

-- name: project
-- $1 rollout
SELECT project_id FROM rollouts WHERE id = $1

-- name: keep
-- $1 project, $2 rollout, $3 gate, $4 variant, $5 sequence, $6 step, $7 taken at, $8 series, $9 error
INSERT INTO gate_readings (
    project_id, rollout_id, gate, variant, sequence, step, taken_at, series, error
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT DO NOTHING
RETURNING sequence
