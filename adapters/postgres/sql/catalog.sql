-- Models, versions, environments. A list answers at least one row: the total stands in
-- each, and the columns of the page are null when the page is empty.

-- name: create_model
-- $1 id, $2 project, $3 name, $4 description, $5 created, $6 updated
INSERT INTO registered_models (id, project_id, name, description, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: model
-- $1 project, $2 model
SELECT id, project_id, name, description, created_at, updated_at
FROM registered_models
WHERE project_id = $1 AND id = $2

-- name: models
-- $1 project, $2 limit, $3 offset, $4 name or null
SELECT counted.total, page.*
FROM (
    SELECT count(*) AS total
    FROM registered_models
    WHERE project_id = $1 AND ($4::text IS NULL OR name = $4)
) AS counted
LEFT JOIN (
    SELECT id, project_id, name, description, created_at, updated_at
    FROM registered_models
    WHERE project_id = $1 AND ($4::text IS NULL OR name = $4)
    ORDER BY created_at DESC, id
    LIMIT $2 OFFSET $3
) AS page ON true
ORDER BY page.created_at DESC, page.id

-- name: change_model
-- $1 project, $2 model, $3 updated before, $4 name, $5 description, $6 updated
UPDATE registered_models
SET name = $4, description = $5, updated_at = $6
WHERE project_id = $1 AND id = $2 AND updated_at = $3
RETURNING id

-- name: delete_model
-- $1 project, $2 model
DELETE FROM registered_models
WHERE project_id = $1 AND id = $2
RETURNING id

-- name: user_of_model
-- $1 project, $2 model
SELECT kind, name, id
FROM (
    SELECT 'model version' AS kind, name, id
    FROM model_versions
    WHERE project_id = $1 AND registered_model_id = $2
    UNION ALL
    SELECT 'inference service', name, id
    FROM inference_services
    WHERE project_id = $1 AND registered_model_id = $2
) AS users
ORDER BY kind, name, id
LIMIT 1

-- name: create_version
-- $1 id, $2 project, $3 model, $4 name, $5 uri, $6 format, $7 runtime, $8 description, $9 created,
-- $10 updated
INSERT INTO model_versions (
    id, project_id, registered_model_id, name, uri, model_format, runtime, description,
    created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: version
-- $1 project, $2 version
SELECT id, project_id, registered_model_id, name, uri, model_format, runtime, description,
    created_at, updated_at
FROM model_versions
WHERE project_id = $1 AND id = $2

-- name: versions
-- $1 project, $2 limit, $3 offset, $4 name or null, $5 model or null
SELECT counted.total, page.*
FROM (
    SELECT count(*) AS total
    FROM model_versions
    WHERE project_id = $1
        AND ($4::text IS NULL OR name = $4)
        AND ($5::uuid IS NULL OR registered_model_id = $5)
) AS counted
LEFT JOIN (
    SELECT id, project_id, registered_model_id, name, uri, model_format, runtime, description,
        created_at, updated_at
    FROM model_versions
    WHERE project_id = $1
        AND ($4::text IS NULL OR name = $4)
        AND ($5::uuid IS NULL OR registered_model_id = $5)
    ORDER BY created_at DESC, id
    LIMIT $2 OFFSET $3
) AS page ON true
ORDER BY page.created_at DESC, page.id

-- name: change_version
-- $1 project, $2 version, $3 updated before, $4 description, $5 updated
UPDATE model_versions
SET description = $4, updated_at = $5
WHERE project_id = $1 AND id = $2 AND updated_at = $3
RETURNING id

-- name: delete_version
-- $1 project, $2 version
DELETE FROM model_versions
WHERE project_id = $1 AND id = $2
RETURNING id

-- name: user_of_version
-- $1 project, $2 version
SELECT kind, name, id
FROM (
    SELECT 'inference service' AS kind, s.name, s.id
    FROM serve_model AS m
    JOIN inference_services AS s ON s.id = m.inference_service_id
    WHERE m.project_id = $1 AND m.model_version_id = $2
    UNION ALL
    SELECT 'traffic config of', s.name, c.id
    FROM traffic_variants AS v
    JOIN traffic_configs AS c ON c.id = v.traffic_config_id
    JOIN inference_services AS s ON s.id = c.inference_service_id
    WHERE v.project_id = $1 AND v.model_version_id = $2
) AS users
ORDER BY kind, name, id
LIMIT 1

-- name: create_environment
-- $1 id, $2 project, $3 name, $4 external id or null, $5 description, $6 created, $7 updated
INSERT INTO serving_environments (
    id, project_id, name, external_id, description, created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: environment
-- $1 project, $2 environment
SELECT id, project_id, name, external_id, description, created_at, updated_at
FROM serving_environments
WHERE project_id = $1 AND id = $2

-- name: environments
-- $1 project, $2 limit, $3 offset, $4 name or null
SELECT counted.total, page.*
FROM (
    SELECT count(*) AS total
    FROM serving_environments
    WHERE project_id = $1 AND ($4::text IS NULL OR name = $4)
) AS counted
LEFT JOIN (
    SELECT id, project_id, name, external_id, description, created_at, updated_at
    FROM serving_environments
    WHERE project_id = $1 AND ($4::text IS NULL OR name = $4)
    ORDER BY created_at DESC, id
    LIMIT $2 OFFSET $3
) AS page ON true
ORDER BY page.created_at DESC, page.id

-- name: lock_environment
-- $1 project, $2 environment. Locked against services that are about to refer to it.
SELECT updated_at
FROM serving_environments
WHERE project_id = $1 AND id = $2
FOR UPDATE

-- name: change_environment
-- $1 project, $2 environment, $3 name, $4 external id or null, $5 description, $6 updated
UPDATE serving_environments
SET name = $3, external_id = $4, description = $5, updated_at = $6
WHERE project_id = $1 AND id = $2

-- name: delete_environment
-- $1 project, $2 environment
DELETE FROM serving_environments
WHERE project_id = $1 AND id = $2
RETURNING id

-- name: user_of_environment
-- $1 project, $2 environment
SELECT 'inference service' AS kind, name, id
FROM inference_services
WHERE project_id = $1 AND serving_environment_id = $2
ORDER BY name, id
LIMIT 1
