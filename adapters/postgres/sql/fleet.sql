-- Freeze windows, groups of rollouts, and the queue of each group.

-- name: create_window
-- $1 id, $2 project, $3 name, $4 reason, $5 times, $6 groups or null, $7 created, $8 updated
INSERT INTO freeze_windows (id, project_id, name, reason, times, groups, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: window
-- $1 project, $2 window
SELECT id, project_id, name, reason, times, groups, created_at, updated_at
FROM freeze_windows
WHERE project_id = $1 AND id = $2

-- name: windows
-- $1 project, $2 limit, $3 offset, $4 name or null
SELECT counted.total, page.*
FROM (
    SELECT count(*) AS total
    FROM freeze_windows
    WHERE project_id = $1 AND ($4::text IS NULL OR name = $4)
) AS counted
LEFT JOIN (
    SELECT id, project_id, name, reason, times, groups, created_at, updated_at
    FROM freeze_windows
    WHERE project_id = $1 AND ($4::text IS NULL OR name = $4)
    ORDER BY created_at DESC, id
    LIMIT $2 OFFSET $3
) AS page ON true
ORDER BY page.created_at DESC, page.id

-- name: all_windows
-- $1 project
SELECT id, project_id, name, reason, times, groups, created_at, updated_at
FROM freeze_windows
WHERE project_id = $1
ORDER BY created_at DESC, id

-- name: change_window
-- $1 project, $2 window, $3 updated before, $4 name, $5 reason, $6 times, $7 groups or null,
-- $8 updated
UPDATE freeze_windows
SET name = $4, reason = $5, times = $6, groups = $7, updated_at = $8
WHERE project_id = $1 AND id = $2 AND updated_at = $3
RETURNING id

-- name: delete_window
-- $1 project, $2 window
DELETE FROM freeze_windows WHERE project_id = $1 AND id = $2
RETURNING id

-- name: create_group
-- $1 id, $2 project, $3 name, $4 limit, $5 created, $6 updated
INSERT INTO rollout_groups (id, project_id, name, most_at_once, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: group
-- $1 project, $2 name
SELECT id, project_id, name, most_at_once AS "limit", created_at, updated_at
FROM rollout_groups
WHERE project_id = $1 AND name = $2

-- name: groups
-- $1 project, $2 limit, $3 offset, $4 name or null
SELECT counted.total, page.*
FROM (
    SELECT count(*) AS total
    FROM rollout_groups
    WHERE project_id = $1 AND ($4::text IS NULL OR name = $4)
) AS counted
LEFT JOIN (
    SELECT id, project_id, name, most_at_once AS "limit", created_at, updated_at
    FROM rollout_groups
    WHERE project_id = $1 AND ($4::text IS NULL OR name = $4)
    ORDER BY created_at DESC, id
    LIMIT $2 OFFSET $3
) AS page ON true
ORDER BY page.created_at DESC, page.id

-- name: change_group
-- $1 project, $2 group, $3 updated before, $4 limit, $5 updated
UPDATE rollout_groups
SET most_at_once = $4, updated_at = $5
WHERE project_id = $1 AND id = $2 AND updated_at = $3
RETURNING id

-- name: lock_group
-- $1 project, $2 name
SELECT id FROM rollout_groups WHERE project_id = $1 AND name = $2 FOR UPDATE

-- name: user_of_group
-- $1 project, $2 group, $3 its name. A rollout that has yet to ask uses it as well.
SELECT kind, name, id
FROM (
    SELECT 'rollout of' AS kind, s.name, r.id
    FROM rollouts AS r
    JOIN traffic_configs AS c ON c.id = r.traffic_config_id
    JOIN inference_services AS s ON s.id = c.inference_service_id
    WHERE r.project_id = $1 AND r.ended_at IS NULL AND (
        r.plan ->> 'group' = $3
        OR EXISTS (
            SELECT FROM rollout_queue AS q
            WHERE q.rollout_id = r.id AND q.rollout_group_id = $2
        )
    )
    UNION ALL
    SELECT 'freeze window', name, id
    FROM freeze_windows
    WHERE project_id = $1 AND $3 = ANY (groups)
) AS users
ORDER BY kind DESC, id
LIMIT 1

-- name: delete_group
-- $1 project, $2 group
DELETE FROM rollout_groups WHERE project_id = $1 AND id = $2

-- name: queue
-- $1 project, $2 group. One whose rollout has ended does not count.
SELECT q.rollout_id, q.asked_at
FROM rollout_queue AS q
JOIN rollouts AS r ON r.id = q.rollout_id
WHERE q.project_id = $1 AND q.rollout_group_id = $2 AND r.ended_at IS NULL
ORDER BY q.ticket

-- name: join_queue
-- $1 rollout, $2 project, $3 group. It keeps the place that it has.
INSERT INTO rollout_queue (rollout_id, project_id, rollout_group_id, asked_at)
VALUES ($1, $2, $3, clock_timestamp())
ON CONFLICT (rollout_id) DO NOTHING

-- name: leave_queue
-- $1 rollout
DELETE FROM rollout_queue WHERE rollout_id = $1
