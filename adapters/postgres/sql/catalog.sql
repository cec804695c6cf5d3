-- Models, versions, environments, services. A list answers at least one row: the total stands in
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
-- $1 project, $2 limit, $3 offset, $4 model or null
SELECT counted.total, page.*
FROM (
    SELECT count(*) AS total
    FROM model_versions
    WHERE project_id = $1 AND ($4::uuid IS NULL OR registered_model_id = $4)
) AS counted
LEFT JOIN (
    SELECT id, project_id, registered_model_id, name, uri, model_format, runtime, description,
        created_at, updated_at
    FROM model_versions
    WHERE project_id = $1 AND ($4::uuid IS NULL OR registered_model_id = $4)
    ORDER BY created_at DESC, id
    LIMIT $2 OFFSET $3
) AS page ON true
ORDER BY page.created_at DESC, page.id

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

-- name: create_service
-- $1 id, $2 project, $3 environment, $4 model, $5 version, $6 name, $7 desired state,
-- $8 current state, $9 its reason, $10 created, $11 updated
INSERT INTO inference_services (
    id, project_id, serving_environment_id, registered_model_id, model_version_id, name,
    desired_state, current_state, state_reason, created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: service
-- $1 project, $2 service
SELECT id, project_id, serving_environment_id, registered_model_id, model_version_id, name,
    desired_state, current_state, state_reason, created_at, updated_at
FROM inference_services
WHERE project_id = $1 AND id = $2

-- name: services
-- $1 project, $2 limit, $3 offset, $4 environment or null
SELECT counted.total, page.*
FROM (
    SELECT count(*) AS total
    FROM inference_services
    WHERE project_id = $1 AND ($4::uuid IS NULL OR serving_environment_id = $4)
) AS counted
LEFT JOIN (
    SELECT id, project_id, serving_environment_id, registered_model_id, model_version_id, name,
        desired_state, current_state, state_reason, created_at, updated_at
    FROM inference_services
    WHERE project_id = $1 AND ($4::uuid IS NULL OR serving_environment_id = $4)
    ORDER BY created_at DESC, id
    LIMIT $2 OFFSET $3
) AS page ON true
ORDER BY page.created_at DESC, page.id
