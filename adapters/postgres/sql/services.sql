-- Inference services, each with the versions that it serves in one array of JSON objects, in order.

-- name: create_service
-- $1 id, $2 project, $3 environment, $4 model, $5 name, $6 description, $7 desired state,
-- $8 current state, $9 its reason, $10 what is leaving, $11 created, $12 updated, $13 protocol
INSERT INTO inference_services (
    id, project_id, serving_environment_id, registered_model_id, name, description,
    desired_state, current_state, state_reason, leaving, created_at, updated_at, protocol
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- name: serve
-- $1 project, $2 service, $3 versions in order
INSERT INTO serve_model (project_id, inference_service_id, model_version_id, position)
SELECT $1, $2, given.id, given.number - 1
FROM unnest($3::uuid[]) WITH ORDINALITY AS given (id, number)

-- name: serve_no_more
-- $1 project, $2 service
DELETE FROM serve_model
WHERE project_id = $1 AND inference_service_id = $2

-- name: service
-- $1 project, $2 service
SELECT s.id, s.project_id, s.serving_environment_id, s.registered_model_id, s.name, s.description,
    s.protocol, s.desired_state, s.current_state, s.state_reason, s.leaving, s.created_at, s.updated_at, (
        SELECT json_agg(json_build_object(
            'model_version_id', v.id, 'model_version_name', v.name
        ) ORDER BY m.position)
        FROM serve_model AS m
        JOIN model_versions AS v ON v.id = m.model_version_id
        WHERE m.inference_service_id = s.id
    ) AS served_models
FROM inference_services AS s
WHERE s.project_id = $1 AND s.id = $2

-- name: services
-- $1 project, $2 limit, $3 offset, $4 name or null, $5 environment or null, $6 model or null,
-- $7 desired state or null, $8 current state or null
SELECT counted.total, page.*, (
    SELECT json_agg(json_build_object(
        'model_version_id', v.id, 'model_version_name', v.name
    ) ORDER BY m.position)
    FROM serve_model AS m
    JOIN model_versions AS v ON v.id = m.model_version_id
    WHERE m.inference_service_id = page.id
) AS served_models
FROM (
    SELECT count(*) AS total
    FROM inference_services
    WHERE project_id = $1
        AND ($4::text IS NULL OR name = $4)
        AND ($5::uuid IS NULL OR serving_environment_id = $5)
        AND ($6::uuid IS NULL OR registered_model_id = $6)
        AND ($7::text IS NULL OR desired_state = $7)
        AND ($8::text IS NULL OR current_state = $8)
) AS counted
LEFT JOIN (
    SELECT id, project_id, serving_environment_id, registered_model_id, name, description,
        protocol, desired_state, current_state, state_reason, leaving, created_at, updated_at
    FROM inference_services
    WHERE project_id = $1
        AND ($4::text IS NULL OR name = $4)
        AND ($5::uuid IS NULL OR serving_environment_id = $5)
        AND ($6::uuid IS NULL OR registered_model_id = $6)
        AND ($7::text IS NULL OR desired_state = $7)
        AND ($8::text IS NULL OR current_state = $8)
    ORDER BY created_at DESC, id
    LIMIT $2 OFFSET $3
) AS page ON true
ORDER BY page.created_at DESC, page.id

-- name: lock_service
-- $1 project, $2 service. Locked against traffic configs that are about to refer to it.
SELECT updated_at
FROM inference_services
WHERE project_id = $1 AND id = $2
FOR UPDATE

-- name: change_service
-- $1 project, $2 service, $3 description, $4 desired state, $5 current state, $6 its reason,
-- $7 what is leaving, $8 updated
UPDATE inference_services
SET description = $3, desired_state = $4, current_state = $5, state_reason = $6, leaving = $7,
    updated_at = $8
WHERE project_id = $1 AND id = $2

-- name: delete_service
-- $1 project, $2 service, $3 updated before
DELETE FROM inference_services
WHERE project_id = $1 AND id = $2 AND updated_at = $3
RETURNING id

-- name: user_of_service
-- $1 project, $2 service
SELECT 'traffic config of' AS kind, s.name, c.id
FROM traffic_configs AS c
JOIN inference_services AS s ON s.id = c.inference_service_id
WHERE c.project_id = $1 AND c.inference_service_id = $2
