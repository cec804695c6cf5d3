-- What metrics ask of the registry: names of one project, and how all projects stand.

-- name: service_named
-- $1 project, $2 name
SELECT id FROM inference_services WHERE project_id = $1 AND name = $2

-- name: configs_with
-- $1 project, $2 names of variants
SELECT c.id
FROM traffic_configs AS c
WHERE c.project_id = $1
    AND NOT EXISTS (
        SELECT FROM unnest($2::text[]) AS wanted (name)
        WHERE NOT EXISTS (
            SELECT FROM traffic_variants AS v
            WHERE v.traffic_config_id = c.id AND v.name = wanted.name
        )
    )
ORDER BY c.created_at DESC, c.id
LIMIT 2

-- name: token_bearers
-- $1 project, $2 since. A variant that has left is known from the rollout that brought it.
SELECT s.name AS model, v.name AS variant, v.workload
FROM traffic_configs AS c
JOIN inference_services AS s ON s.id = c.inference_service_id
JOIN traffic_variants AS v ON v.traffic_config_id = c.id
WHERE c.project_id = $1
UNION
SELECT s.name, planned.variant, planned.workload
FROM traffic_configs AS c
JOIN inference_services AS s ON s.id = c.inference_service_id
JOIN rollouts AS r ON r.traffic_config_id = c.id
CROSS JOIN LATERAL (
    SELECT one ->> 'name', one #>> '{workload,name}'
    FROM jsonb_array_elements(
        jsonb_build_array(r.plan -> 'stable', r.plan -> 'candidate')
        || coalesce(r.plan -> 'others', '[]')
    ) AS one
) AS planned (variant, workload)
WHERE c.project_id = $1
    AND (r.ended_at IS NULL OR r.ended_at >= $2)
    AND NOT EXISTS (
        SELECT FROM traffic_variants AS v
        WHERE v.traffic_config_id = c.id AND v.workload = planned.workload
    )
ORDER BY model, variant, workload

-- name: bare_services
-- $1 project
SELECT s.id, s.name, array_agg(v.id ORDER BY m.position) AS version_ids,
    (array_agg(v.name ORDER BY m.position))[1] AS version_name
FROM inference_services AS s
JOIN serve_model AS m ON m.inference_service_id = s.id
JOIN model_versions AS v ON v.id = m.model_version_id
WHERE s.project_id = $1
    AND NOT EXISTS (
        SELECT FROM traffic_configs AS c
        WHERE c.project_id = $1 AND c.inference_service_id = s.id
    )
GROUP BY s.id, s.name
ORDER BY s.name

-- name: standing_variants
SELECT c.project_id, c.id AS config_id, c.namespace, c.route_name, s.name AS model, v.name,
    v.role, m.name AS version, v.workload, v.slot, v.weight
FROM traffic_variants AS v
JOIN traffic_configs AS c ON c.id = v.traffic_config_id
JOIN inference_services AS s ON s.id = c.inference_service_id
JOIN model_versions AS m ON m.id = v.model_version_id
WHERE v.status <> 'retired'

-- name: standing_rollouts
-- $1 since
SELECT c.project_id, s.name AS model, r.strategy, r.phase, count(*) AS count
FROM traffic_configs AS c
JOIN inference_services AS s ON s.id = c.inference_service_id
CROSS JOIN LATERAL (
    SELECT id, plan ->> 'strategy' AS strategy, phase FROM rollouts
    WHERE traffic_config_id = c.id AND created_at > $1
    UNION
    SELECT id, plan ->> 'strategy' AS strategy, phase FROM rollouts
    WHERE traffic_config_id = c.id AND ended_at IS NULL
) AS r
GROUP BY c.project_id, s.name, r.strategy, r.phase

-- name: standing_verdicts
-- $1 since. In a trial each arm has its own: they are told apart by the arm's name.
SELECT c.project_id, s.name AS model, e.gate, e.status
FROM traffic_configs AS c
JOIN inference_services AS s ON s.id = c.inference_service_id
CROSS JOIN LATERAL (
    SELECT id, ended_at, created_at FROM rollouts
    WHERE traffic_config_id = c.id
    ORDER BY created_at DESC, id
    LIMIT 1
) AS r
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (told.gate) told.gate, told.status
    FROM (
        SELECT id, data #>> '{verdict,status}' AS status,
            ltrim(concat(data #>> '{verdict,variant}', ' ', data #>> '{verdict,gate}')) AS gate
        FROM rollout_events
        WHERE rollout_id = r.id AND kind = 'verdict' AND data #>> '{verdict,gate}' IS NOT NULL
    ) AS told
    ORDER BY told.gate, told.id DESC
) AS e
WHERE r.created_at > $1 OR r.ended_at IS NULL
