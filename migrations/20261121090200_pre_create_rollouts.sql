-- The projection of the rollout workflows, and the events that tell what they did.

-- migrate:up
SET LOCAL lock_timeout = '4s';

CREATE TABLE rollouts (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    traffic_config_id uuid NOT NULL,
    plan jsonb NOT NULL CHECK (jsonb_typeof(plan) = 'object'),
    phase text NOT NULL CHECK (phase IN (
        'pending', 'progressing', 'paused', 'rolling_back', 'promoting',
        'promoted', 'rolled_back', 'failed'
    )),
    phase_reason text NOT NULL,
    step integer NOT NULL CHECK (step >= 0),
    candidate_weight integer NOT NULL CHECK (candidate_weight BETWEEN 0 AND 100),
    actor text NOT NULL,
    reason text NOT NULL,
    workflow_id text NOT NULL CHECK (workflow_id <> ''),
    run_id text,
    idempotency_key text CHECK (idempotency_key <> ''),
    request_hash text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    ended_at timestamptz,
    UNIQUE (project_id, id),
    UNIQUE (project_id, idempotency_key),
    CONSTRAINT rollouts_ended_when_final
        CHECK ((ended_at IS NOT NULL) = (phase IN ('promoted', 'rolled_back', 'failed'))),
    CONSTRAINT rollouts_traffic_config FOREIGN KEY (project_id, traffic_config_id)
        REFERENCES traffic_configs (project_id, id) ON DELETE RESTRICT
);
CREATE INDEX rollouts_listed ON rollouts (project_id, created_at DESC, id);
CREATE INDEX rollouts_of_config ON rollouts (traffic_config_id, created_at DESC, id);
-- One at a time: whoever takes over an abandoned rollout may trust that its plan is still true.
CREATE UNIQUE INDEX rollouts_unfinished ON rollouts (traffic_config_id)
    WHERE phase NOT IN ('promoted', 'rolled_back', 'failed');

-- Writers lock the rollout's row before they insert, so the ids of one rollout's events grow in
-- the order of the commits and a reader that asks for what is behind an id misses none.
CREATE TABLE rollout_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id uuid NOT NULL,
    rollout_id uuid NOT NULL,
    key text NOT NULL CHECK (key <> ''),
    kind text NOT NULL CHECK (kind <> ''),
    message text NOT NULL,
    at timestamptz NOT NULL,
    step integer CHECK (step >= 0),
    data jsonb NOT NULL CHECK (jsonb_typeof(data) = 'object'),
    UNIQUE (rollout_id, key),
    CONSTRAINT rollout_events_rollout FOREIGN KEY (project_id, rollout_id)
        REFERENCES rollouts (project_id, id) ON DELETE CASCADE
);
CREATE INDEX rollout_events_in_order ON rollout_events (rollout_id, id);

-- migrate:down
SET LOCAL lock_timeout = '4s';

DROP TABLE rollout_events;
DROP TABLE rollouts;
