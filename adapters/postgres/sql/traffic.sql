-- Traffic configs, each with its variants in one array of JSON objects, by slot.

-- name: create_config
-- $1 id, $2 project, $3 service, $4 strategy, $5 status, $6 its reason, $7 namespace, $8 route,
-- $9 created, $10 updated, $11 paused, $12 gates or null, $13 policies or null, $14 window,
-- $15 uses of templates
INSERT INTO traffic_configs (
    id, project_id, inference_service_id, strategy, status, status_reason, namespace, route_name,
    created_at, updated_at, paused, default_gates, default_policies, rollback_window,
    default_gate_templates
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)

-- name: set_config
-- $1 project, $2 config, $3 strategy, $4 at, $5 paused, $6 gates or null, $7 policies or null,
-- $8 window, $9 uses of templates
UPDATE traffic_configs
SET strategy = $3, paused = $5, default_gates = $6, default_policies = $7, rollback_window = $8,
    default_gate_templates = $9, updated_at = greatest(updated_at, $4)
WHERE project_id = $1 AND id = $2
RETURNING id

-- name: create_variant
-- $1 id, $2 project, $3 config, $4 name, $5 role, $6 version, $7 workload, $8 slot, $9 weight,
-- $10 status, $11 joined, $12 to be retired or null, $13 superseded or null, $14 created,
-- $15 updated
INSERT INTO traffic_variants (
    id, project_id, traffic_config_id, name, role, model_version_id, workload, slot, weight,
    status, joined_at, retire_at, superseded_at, created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)

-- name: clear_variants
-- $1 config
DELETE FROM traffic_variants WHERE traffic_config_id = $1

-- name: is_served
-- $1 service, $2 version. Asked after the config's row was written, which holds the service's.
SELECT desired_state = 'deployed' AS deployed, EXISTS (
    SELECT FROM serve_model WHERE inference_service_id = $1 AND model_version_id = $2
) AS served
FROM inference_services
WHERE id = $1

-- name: config
-- $1 project, $2 config
SELECT c.id, c.project_id, c.inference_service_id, s.name AS inference_service_name, s.protocol,
    c.strategy,
    c.status, c.status_reason, c.paused, c.default_gates, c.default_policies, c.rollback_window,
    c.default_gate_templates, c.namespace, c.route_name, c.created_at, c.updated_at, (
        SELECT json_agg(json_build_object(
            'id', v.id, 'config_id', v.traffic_config_id, 'name', v.name, 'role', v.role,
            'model_version_id', v.model_version_id, 'model_version_name', m.name,
            'workload', v.workload, 'slot', v.slot, 'weight', v.weight, 'status', v.status,
            'joined_at', v.joined_at, 'retire_at', v.retire_at,
            'superseded_at', v.superseded_at,
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
-- $1 project, $2 limit, $3 offset, $4 service or null, $5 strategy or null, $6 status or null
SELECT counted.total, page.*, (
    SELECT json_agg(json_build_object(
        'id', v.id, 'config_id', v.traffic_config_id, 'name', v.name, 'role', v.role,
        'model_version_id', v.model_version_id, 'model_version_name', m.name,
        'workload', v.workload, 'slot', v.slot, 'weight', v.weight, 'status', v.status,
        'joined_at', v.joined_at, 'retire_at', v.retire_at,
        'superseded_at', v.superseded_at,
        'created_at', v.created_at, 'updated_at', v.updated_at
    ) ORDER BY v.slot, v.created_at)
    FROM traffic_variants AS v
    JOIN model_versions AS m ON m.id = v.model_version_id
    WHERE v.traffic_config_id = page.id
) AS variants
FROM (
    SELECT count(*) AS total
    FROM traffic_configs
    WHERE project_id = $1
        AND ($4::uuid IS NULL OR inference_service_id = $4)
        AND ($5::text IS NULL OR strategy = $5)
        AND ($6::text IS NULL OR status = $6)
) AS counted
LEFT JOIN (
    SELECT c.id, c.project_id, c.inference_service_id, s.name AS inference_service_name,
        s.protocol, c.strategy, c.status, c.status_reason, c.paused, c.default_gates, c.default_policies,
        c.default_gate_templates, c.rollback_window, c.namespace, c.route_name, c.created_at, c.updated_at
    FROM traffic_configs AS c
    JOIN inference_services AS s ON s.id = c.inference_service_id
    WHERE c.project_id = $1
        AND ($4::uuid IS NULL OR c.inference_service_id = $4)
        AND ($5::text IS NULL OR c.strategy = $5)
        AND ($6::text IS NULL OR c.status = $6)
    ORDER BY c.created_at DESC, c.id
    LIMIT $2 OFFSET $3
) AS page ON true
ORDER BY page.created_at DESC, page.id

-- name: lock_config
-- $1 project, $2 config
SELECT id FROM traffic_configs WHERE project_id = $1 AND id = $2 FOR NO KEY UPDATE

-- name: drop_rollouts
-- $1 config
DELETE FROM rollouts WHERE traffic_config_id = $1

-- name: drop_config
-- $1 config
DELETE FROM traffic_configs WHERE id = $1

-- name: touch_config
-- $1 config
UPDATE traffic_configs SET updated_at = now() WHERE id = $1

-- name: serve_version
-- $1 config, $2 version, $3 the version that was stable before or null. Where the service serves
-- just that one, the new stable takes its place; a service of several versions is left as it is.
WITH taken AS (
    UPDATE serve_model AS m
    SET model_version_id = $2
    FROM traffic_configs AS c
    WHERE c.id = $1 AND m.inference_service_id = c.inference_service_id
        AND m.model_version_id = $3
        AND NOT EXISTS (
            SELECT FROM serve_model
            WHERE inference_service_id = c.inference_service_id AND model_version_id <> $3
        )
    RETURNING m.inference_service_id
)
UPDATE inference_services
SET updated_at = now()
WHERE id IN (SELECT inference_service_id FROM taken)

-- name: due
SELECT DISTINCT c.project_id, c.id
FROM traffic_variants AS v
JOIN traffic_configs AS c ON c.id = v.traffic_config_id
WHERE v.retire_at <= now()
    AND c.status = 'active'
    AND NOT c.paused
    AND NOT EXISTS (
        SELECT FROM operations AS o
        WHERE o.subject_id = c.id AND o.phase IN ('running', 'tidying')
    )
    AND NOT EXISTS (
        SELECT FROM rollouts AS r
        WHERE r.traffic_config_id = c.id
            AND r.ended_at IS NULL
    )

-- name: unfinished_rollout
-- $1 config
SELECT id FROM rollouts
WHERE traffic_config_id = $1 AND ended_at IS NULL
