-- What the workflows write. One transaction an account, the rollout and its config locked in it.

-- name: lock_rollout
-- $1 rollout
SELECT r.project_id, r.traffic_config_id AS config_id, c.inference_service_id AS service_id,
    r.plan #>> '{stable,name}' AS stable_name,
    (r.plan #>> '{stable,version_id}')::uuid AS stable_version_id,
    (
        SELECT jsonb_object_agg(variant ->> 'name', variant ->> 'version_id')
        FROM jsonb_array_elements(
            jsonb_build_array(r.plan -> 'stable', r.plan -> 'candidate')
            || coalesce(r.plan -> 'others', '[]')
        ) AS variant
    ) AS versions
FROM rollouts AS r
JOIN traffic_configs AS c ON c.id = r.traffic_config_id
WHERE r.id = $1
FOR NO KEY UPDATE OF r, c

-- name: append_event
-- $1 project, $2 rollout, $3 key, $4 kind, $5 message, $6 at, $7 step or null, $8 data
INSERT INTO rollout_events (project_id, rollout_id, key, kind, message, at, step, data)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (rollout_id, key) DO NOTHING
RETURNING id

-- name: advance_rollout
-- $1 rollout, $2 phase or null, $3 is final, $4 message, $5 step or null, $6 candidate weight or
-- null, $7 at, $8 run or null, $9 the challenger that was promoted or null
UPDATE rollouts
SET phase = coalesce($2, phase),
    phase_reason = CASE WHEN $2::text IS NULL THEN phase_reason ELSE $4 END,
    step = coalesce($5, step),
    candidate_weight = coalesce($6, candidate_weight),
    run_id = coalesce($8, run_id),
    chosen = coalesce($9, chosen),
    updated_at = greatest(updated_at, $7),
    ended_at = CASE WHEN $2::text IS NULL THEN ended_at WHEN $3 THEN $7 END
WHERE id = $1

-- name: join_variant
-- $1 project, $2 config, $3 name, $4 version, $5 workload, $6 slot, $7 at
INSERT INTO traffic_variants (
    id, project_id, traffic_config_id, name, role, model_version_id, workload, slot, weight,
    status, joined_at, created_at, updated_at
)
VALUES (gen_random_uuid(), $1, $2, $3, 'candidate', $4, $5, $6, 0, 'active', $7, $7, $7)
ON CONFLICT (traffic_config_id, model_version_id) DO UPDATE
SET name = excluded.name, role = excluded.role, workload = excluded.workload,
    slot = excluded.slot, weight = 0, status = 'active',
    joined_at = CASE
        WHEN traffic_variants.slot = excluded.slot AND traffic_variants.status <> 'retired'
            THEN traffic_variants.joined_at
        ELSE excluded.joined_at
    END,
    retire_at = NULL, updated_at = excluded.updated_at
WHERE traffic_variants.role <> 'stable'
RETURNING id

-- name: set_weights
-- $1 config, $2 versions, $3 their weights, $4 at
UPDATE traffic_variants AS v
SET weight = given.weight,
    status = CASE WHEN given.weight > 0 THEN 'active' ELSE v.status END,
    updated_at = $4
FROM unnest($2::uuid[], $3::integer[]) AS given (model_version_id, weight)
WHERE v.traffic_config_id = $1 AND v.model_version_id = given.model_version_id

-- name: demote_others
-- $1 config, $2 promoted version, $3 at. Who gives way to a former stable was gone back from.
UPDATE traffic_variants
SET weight = 0,
    name = CASE WHEN role = 'stable' THEN (
        SELECT 'old-stable-' || min(n)
        FROM generate_series(1, 1 + (
            SELECT count(*) FROM traffic_variants WHERE traffic_config_id = $1
        )) AS n
        WHERE NOT EXISTS (
            SELECT FROM traffic_variants
            WHERE traffic_config_id = $1 AND name = 'old-stable-' || n
        )
    ) ELSE name END,
    status = CASE WHEN role = 'stable' THEN 'inactive' ELSE status END,
    superseded_at = CASE WHEN role <> 'stable' THEN superseded_at WHEN NOT EXISTS (
        SELECT FROM traffic_variants
        WHERE traffic_config_id = $1 AND model_version_id = $2 AND superseded_at IS NOT NULL
    ) THEN $3 END,
    role = CASE WHEN role = 'stable' THEN 'retiring' ELSE role END,
    updated_at = $3
WHERE traffic_config_id = $1
    AND model_version_id <> $2
    AND (role = 'stable' OR weight > 0)

-- name: promote_variant
-- $1 project, $2 config, $3 version, $4 workload, $5 slot, $6 at
INSERT INTO traffic_variants (
    id, project_id, traffic_config_id, name, role, model_version_id, workload, slot, weight,
    status, joined_at, created_at, updated_at
)
VALUES (gen_random_uuid(), $1, $2, 'stable', 'stable', $3, $4, $5, 100, 'active', $6, $6, $6)
ON CONFLICT (traffic_config_id, model_version_id) DO UPDATE
SET name = excluded.name, role = excluded.role, workload = excluded.workload,
    slot = excluded.slot, weight = 100, status = 'active', retire_at = NULL, superseded_at = NULL,
    updated_at = excluded.updated_at

-- name: serve_version
-- $1 service, $2 version, $3 at, $4 the version that was stable before. Where the service serves
-- just that one, the new stable takes its place; a service of several versions is left as it is.
WITH taken AS (
    UPDATE serve_model AS m
    SET model_version_id = $2
    WHERE m.inference_service_id = $1 AND m.model_version_id = $4
        AND NOT EXISTS (
            SELECT FROM serve_model
            WHERE inference_service_id = $1 AND model_version_id <> $4
        )
    RETURNING m.inference_service_id
)
UPDATE inference_services
SET updated_at = greatest(updated_at, $3)
WHERE id IN (SELECT inference_service_id FROM taken)

-- name: drop_variant
-- $1 config, $2 version
DELETE FROM traffic_variants
WHERE traffic_config_id = $1 AND model_version_id = $2 AND role = 'candidate'

-- name: retire_variant
-- $1 config, $2 version, $3 at. A former stable is remembered: a rollback may go back to it.
UPDATE traffic_variants
SET status = 'retired', retire_at = NULL, updated_at = $3
WHERE traffic_config_id = $1 AND model_version_id = $2 AND role = 'retiring'

-- name: forget_former
-- $1 config, $2 how many to remember
DELETE FROM traffic_variants
WHERE id IN (
    SELECT id FROM traffic_variants
    WHERE traffic_config_id = $1 AND role = 'retiring' AND status = 'retired'
    ORDER BY updated_at DESC
    OFFSET $2
)

-- name: notify
-- $1 rollout
SELECT pg_notify('tidegate_rollout_events', $1::uuid::text)

-- name: service_state
-- $1 service, $2 state, $3 reason, $4 names of workloads that are gone
UPDATE inference_services
SET current_state = $2, state_reason = $3, updated_at = now(), leaving = (
    SELECT coalesce(jsonb_agg(still.workload ORDER BY still.number), '[]')
    FROM jsonb_array_elements(leaving) WITH ORDINALITY AS still (workload, number)
    WHERE NOT still.workload ->> 'name' = ANY ($4::text[])
)
WHERE id = $1
RETURNING id

-- name: forget_service
-- $1 service
DELETE FROM inference_services
WHERE id = $1 AND desired_state = 'undeployed'

-- name: config_status
-- $1 config, $2 status, $3 reason
UPDATE traffic_configs
SET status = $2, status_reason = $3, updated_at = now()
WHERE id = $1
RETURNING id
