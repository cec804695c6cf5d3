-- Rollouts and their events, as the API and the guardian read them.

-- name: lock_config
-- $1 project, $2 config
SELECT paused FROM traffic_configs WHERE project_id = $1 AND id = $2 FOR NO KEY UPDATE

-- name: running_operation
-- $1 config
SELECT id, summary FROM operations WHERE subject_id = $1 AND phase IN ('running', 'tidying')

-- name: holders
-- $1 config
SELECT workload, slot FROM traffic_variants WHERE traffic_config_id = $1 AND status <> 'retired'

-- name: create_rollout
-- $1 id, $2 project, $3 config, $4 plan, $5 phase, $6 its reason, $7 step, $8 candidate weight,
-- $9 actor, $10 reason, $11 workflow, $12 run or null, $13 created, $14 updated, $15 ended or null,
-- $16 idempotency key or null, $17 request hash. Nothing is stored where the plan's stable version
-- is no longer the stable one with all traffic: what ended just now has made the plan untrue.
INSERT INTO rollouts (
    id, project_id, traffic_config_id, plan, phase, phase_reason, step, candidate_weight, actor,
    reason, workflow_id, run_id, created_at, updated_at, ended_at, idempotency_key, request_hash
)
SELECT $1::uuid, $2::uuid, $3::uuid, $4::jsonb, $5::text, $6::text, $7::integer, $8::integer,
    $9::text, $10::text, $11::text, $12::text, $13::timestamptz, $14::timestamptz,
    $15::timestamptz, $16::text, $17::text
WHERE NOT EXISTS (
    SELECT FROM traffic_variants
    WHERE project_id = $2
        AND traffic_config_id = $3
        AND role = 'stable'
        AND (
            model_version_id <> ($4::jsonb #>> '{stable,version_id}')::uuid
            OR weight < 100
        )
)
ON CONFLICT (project_id, idempotency_key) DO NOTHING
RETURNING id

-- name: rollout_of_key
-- $1 project, $2 idempotency key
SELECT id, project_id, traffic_config_id AS config_id, plan, phase, phase_reason, step,
    candidate_weight, actor, reason, workflow_id, run_id, created_at, updated_at, ended_at,
    chosen, request_hash
FROM rollouts
WHERE project_id = $1 AND idempotency_key = $2

-- name: discard_rollout
-- $1 project, $2 rollout
DELETE FROM rollouts
WHERE project_id = $1 AND id = $2 AND phase = 'pending'

-- name: rollout
-- $1 project, $2 rollout
SELECT id, project_id, traffic_config_id AS config_id, plan, phase, phase_reason, step,
    candidate_weight, actor, reason, workflow_id, run_id, created_at, updated_at, ended_at, chosen
FROM rollouts
WHERE project_id = $1 AND id = $2

-- name: rollouts
-- $1 project, $2 limit, $3 offset, $4 config or null, $5 phase or null
SELECT counted.total, page.*
FROM (
    SELECT count(*) AS total
    FROM rollouts
    WHERE project_id = $1
        AND ($4::uuid IS NULL OR traffic_config_id = $4)
        AND ($5::text IS NULL OR phase = $5)
) AS counted
LEFT JOIN (
    SELECT id, project_id, traffic_config_id AS config_id, plan, phase, phase_reason, step,
        candidate_weight, actor, reason, workflow_id, run_id, created_at, updated_at, ended_at, chosen
    FROM rollouts
    WHERE project_id = $1
        AND ($4::uuid IS NULL OR traffic_config_id = $4)
        AND ($5::text IS NULL OR phase = $5)
    ORDER BY created_at DESC, id
    LIMIT $2 OFFSET $3
) AS page ON true
ORDER BY page.created_at DESC, page.id

-- name: live_rollout
-- $1 project, $2 config
SELECT id, project_id, traffic_config_id AS config_id, plan, phase, phase_reason, step,
    candidate_weight, actor, reason, workflow_id, run_id, created_at, updated_at, ended_at, chosen
FROM rollouts
WHERE project_id = $1
    AND traffic_config_id = $2
    AND ended_at IS NULL

-- name: unfinished
SELECT id, project_id, traffic_config_id AS config_id, plan, phase, phase_reason, step,
    candidate_weight, actor, reason, workflow_id, run_id, created_at, updated_at, ended_at, chosen
FROM rollouts
WHERE ended_at IS NULL
ORDER BY created_at, id

-- name: events
-- $1 project, $2 rollout, $3 the id behind which to begin, $4 limit
SELECT id, rollout_id, kind, message, at, step, data
FROM rollout_events
WHERE project_id = $1 AND rollout_id = $2 AND id > $3
ORDER BY id
LIMIT $4

-- name: rollout_exists
-- $1 project, $2 rollout
SELECT id FROM rollouts WHERE project_id = $1 AND id = $2

-- name: ready
SELECT NOT EXISTS (SELECT FROM rollouts WHERE false)
