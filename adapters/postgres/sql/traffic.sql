-- Traffic configs, each with its variants in one array of JSON objects, by slot.

-- name: create_config
-- $1 id, $2 project, $3 service, $4 strategy, $5 status, $6 its reason, $7 namespace, $8 route,
-- $9 created, $10 updated
INSERT INTO traffic_configs (
    id, project_id, inference_service_id, strategy, status, status_reason, namespace, route_name,
    created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: create_variant
-- $1 id, $2 project, $3 config, $4 name, $5 role, $6 version, $7 workload, $8 slot, $9 weight,
-- $10 status, $11 created, $12 updated
INSERT INTO traffic_variants (
    id, project_id, traffic_config_id, name, role, model_version_id, workload, slot, weight,
    status, created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

-- name: is_served
-- $1 service, $2 version. Asked after the config's row was written, which holds the service's.
SELECT desired_state = 'deployed' AS deployed, EXISTS (
    SELECT FROM serve_model WHERE inference_service_id = $1 AND model_version_id = $2
) AS served
FROM inference_services
WHERE id = $1

-- name: config
-- $1 project, $2 config
SELECT c.id, c.project_id, c.inference_service_id, s.name AS inference_service_name, c.strategy,
    c.status, c.status_reason, c.namespace, c.route_name, c.created_at, c.updated_at, (
        SELECT json_agg(json_build_object(
            'id', v.id, 'config_id', v.traffic_config_id, 'name', v.name, 'role', v.role,
            'model_version_id', v.model_version_id, 'model_version_name', m.name,
            'workload', v.workload, 'slot', v.slot, 'weight', v.weight, 'status', v.status,
            'created_at', v.created_at, 'updated_at', v.updated_at
        ) ORDER BY v.slot, v.created_at)
        FROM traffic_variants AS v
        JOIN model_versions AS m ON m.id = v.model_version_id
        WHERE v.traffic_config_id = c.id
    ) AS variants
FROM traffic_configs AS c
JOIN inference_services AS s ON s.id = c.inference_service_id
WHERE c.project_id = $1 AND c.id = $2

-- name: configs
-- $1 project, $2 limit, $3 offset, $4 service or null
SELECT counted.total, page.*, (
    SELECT json_agg(json_build_object(
        'id', v.id, 'config_id', v.traffic_config_id, 'name', v.name, 'role', v.role,
        'model_version_id', v.model_version_id, 'model_version_name', m.name,
        'workload', v.workload, 'slot', v.slot, 'weight', v.weight, 'status', v.status,
        'created_at', v.created_at, 'updated_at', v.updated_at
    ) ORDER BY v.slot, v.created_at)
    FROM traffic_variants AS v
    JOIN model_versions AS m ON m.id = v.model_version_id
    WHERE v.traffic_config_id = page.id
) AS variants
FROM (
    SELECT count(*) AS total
    FROM traffic_configs
    WHERE project_id = $1 AND ($4::uuid IS NULL OR inference_service_id = $4)
) AS counted
LEFT JOIN (
    SELECT c.id, c.project_id, c.inference_service_id, s.name AS inference_service_name,
        c.strategy, c.status, c.status_reason, c.namespace, c.route_name, c.created_at,
        c.updated_at
    FROM traffic_configs AS c
    JOIN inference_services AS s ON s.id = c.inference_service_id
    WHERE c.project_id = $1 AND ($4::uuid IS NULL OR c.inference_service_id = $4)
    ORDER BY c.created_at DESC, c.id
    LIMIT $2 OFFSET $3
) AS page ON true
ORDER BY page.created_at DESC, page.id
