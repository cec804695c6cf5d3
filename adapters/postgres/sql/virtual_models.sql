-- Virtual models, each with its backends in one array of JSON objects, by position.

-- name: create
-- $1 id, $2 project, $3 name, $4 description, $5 namespace, $6 route, $7 created, $8 updated
INSERT INTO virtual_models (
    id, project_id, name, description, namespace, route_name, created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: by_name
-- $1 project, $2 name
SELECT m.id, m.project_id, m.name, m.description, m.namespace, m.route_name, m.created_at,
    m.updated_at, (
        SELECT json_agg(json_build_object(
            'id', b.id, 'name', b.name, 'namespace', b.namespace,
            'model_name_override', b.model_name_override, 'weight', b.weight,
            'priority', b.priority, 'position', b.position, 'created_at', b.created_at,
            'updated_at', b.updated_at
        ) ORDER BY b.position)
        FROM virtual_model_backends AS b
        WHERE b.virtual_model_id = m.id
    ) AS backends
FROM virtual_models AS m
WHERE m.project_id = $1 AND m.name = $2

-- name: listed
-- $1 project, $2 limit, $3 offset, $4 name or null
SELECT counted.total, page.*, (
    SELECT json_agg(json_build_object(
        'id', b.id, 'name', b.name, 'namespace', b.namespace,
        'model_name_override', b.model_name_override, 'weight', b.weight,
        'priority', b.priority, 'position', b.position, 'created_at', b.created_at,
        'updated_at', b.updated_at
    ) ORDER BY b.position)
    FROM virtual_model_backends AS b
    WHERE b.virtual_model_id = page.id
) AS backends
FROM (
    SELECT count(*) AS total
    FROM virtual_models
    WHERE project_id = $1 AND ($4::text IS NULL OR name = $4)
) AS counted
LEFT JOIN (
    SELECT id, project_id, name, description, namespace, route_name, created_at, updated_at
    FROM virtual_models
    WHERE project_id = $1 AND ($4::text IS NULL OR name = $4)
    ORDER BY created_at DESC, id
    LIMIT $2 OFFSET $3
) AS page ON true
ORDER BY page.created_at DESC, page.id

-- name: describe
-- $1 project, $2 virtual model, $3 description, $4 at
UPDATE virtual_models
SET description = $3, updated_at = $4
WHERE project_id = $1 AND id = $2
RETURNING id

-- name: lock
-- $1 project, $2 virtual model
SELECT m.id, (
    SELECT json_agg(json_build_object(
        'id', b.id, 'name', b.name, 'namespace', b.namespace,
        'model_name_override', b.model_name_override, 'weight', b.weight,
        'priority', b.priority, 'position', b.position, 'created_at', b.created_at,
        'updated_at', b.updated_at
    ) ORDER BY b.position)
    FROM virtual_model_backends AS b
    WHERE b.virtual_model_id = m.id
) AS backends
FROM virtual_models AS m
WHERE m.project_id = $1 AND m.id = $2
FOR UPDATE OF m

-- name: drop_backends
-- $1 project, $2 virtual model, $3 those that stay
DELETE FROM virtual_model_backends
WHERE project_id = $1 AND virtual_model_id = $2 AND NOT id = ANY ($3::uuid[])

-- name: put_backend
-- $1 id, $2 project, $3 virtual model, $4 name, $5 namespace, $6 override or null, $7 weight,
-- $8 priority, $9 position, $10 created, $11 updated
INSERT INTO virtual_model_backends (
    id, project_id, virtual_model_id, name, namespace, model_name_override, weight, priority,
    position, created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (id) DO UPDATE
SET model_name_override = excluded.model_name_override, weight = excluded.weight,
    priority = excluded.priority, updated_at = excluded.updated_at

-- name: touch
-- $1 project, $2 virtual model
UPDATE virtual_models SET updated_at = now() WHERE project_id = $1 AND id = $2

-- name: delete
-- $1 project, $2 virtual model
DELETE FROM virtual_models WHERE project_id = $1 AND id = $2
