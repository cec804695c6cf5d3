-- What the answers of shadows' samples have shown, each request once.

-- name: compared
-- $1 rollout
SELECT sequence, request, difference
FROM compared_answers
WHERE rollout_id = $1
ORDER BY sequence

-- name: one
-- $1 rollout, $2 sequence
SELECT sequence, request, difference
FROM compared_answers
WHERE rollout_id = $1 AND sequence = $2

-- name: project
-- $1 rollout
SELECT project_id FROM rollouts WHERE id = $1

-- name: keep
-- $1 project, $2 rollout, $3 sequence, $4 request, $5 difference
INSERT INTO compared_answers (project_id, rollout_id, sequence, request, difference)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
RETURNING sequence
