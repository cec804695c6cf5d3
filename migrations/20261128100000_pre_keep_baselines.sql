-- What was known of stable before a rollout's evidence began: one document a rollout, written once.

-- migrate:up
SET LOCAL lock_timeout = '4s';

CREATE TABLE evidence_baselines (
    project_id uuid NOT NULL,
    rollout_id uuid PRIMARY KEY,
    baseline jsonb NOT NULL CHECK (jsonb_typeof(baseline) = 'object'),
    CONSTRAINT evidence_baselines_rollout FOREIGN KEY (project_id, rollout_id)
        REFERENCES rollouts (project_id, id) ON DELETE CASCADE
);

-- migrate:down
SET LOCAL lock_timeout = '4s';

DROP TABLE evidence_baselines;
