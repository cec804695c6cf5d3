-- One-shot changes, stored before they begin. What an ending changes in the registry is the subject's.

-- name: begin
-- $1 id, $2 project, $3 subject, $4 its id, $5 summary, $6 change, $7 phase, $8 detail, $9 actor,
-- $10 reason, $11 created
INSERT INTO operations (
    id, project_id, subject, subject_id, summary, change, phase, detail, actor, reason, created_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: discard
-- $1 project, $2 operation
DELETE FROM operations WHERE project_id = $1 AND id = $2 AND phase = 'running'

-- name: operation
-- $1 project, $2 operation
SELECT id, project_id, subject, subject_id, summary, change, phase, problem, detail, actor, reason,
    created_at, ended_at
FROM operations
WHERE project_id = $1 AND id = $2

-- name: operations
-- $1 project, $2 limit, $3 offset, $4 subject's id or null
SELECT counted.total, page.*
FROM (
    SELECT count(*) AS total
    FROM operations
    WHERE project_id = $1 AND ($4::uuid IS NULL OR subject_id = $4)
) AS counted
LEFT JOIN (
    SELECT id, project_id, subject, subject_id, summary, change, phase, problem, detail, actor,
        reason, created_at, ended_at
    FROM operations
    WHERE project_id = $1 AND ($4::uuid IS NULL OR subject_id = $4)
    ORDER BY created_at DESC, id
    LIMIT $2 OFFSET $3
) AS page ON true
ORDER BY page.created_at DESC, page.id

-- name: live_operation
-- $1 project, $2 subject's id
SELECT id, project_id, subject, subject_id, summary, change, phase, problem, detail, actor, reason,
    created_at, ended_at
FROM operations
WHERE project_id = $1 AND subject_id = $2 AND phase IN ('running', 'tidying')

-- name: running
SELECT id, project_id, subject, subject_id, summary, change, phase, problem, detail, actor, reason,
    created_at, ended_at
FROM operations
WHERE phase IN ('running', 'tidying')
ORDER BY created_at, id

-- name: lock_operation
-- $1 operation
SELECT id, project_id, subject, subject_id, summary, change, phase, problem, detail, actor, reason,
    created_at, ended_at
FROM operations
WHERE id = $1
FOR UPDATE

-- name: end_operation
-- $1 operation, $2 phase, $3 is final, $4 problem or null, $5 detail
UPDATE operations
SET phase = $2, problem = $4, detail = $5, ended_at = CASE WHEN $3 THEN now() END
WHERE id = $1
