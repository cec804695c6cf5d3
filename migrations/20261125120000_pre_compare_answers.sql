-- Whether a shadow answered the requests of its sample as stable did: the verdict can be recomputed
-- from these rows.

-- migrate:up
SET LOCAL lock_timeout = '4s';

CREATE TABLE compared_answers (
    project_id uuid NOT NULL,
    rollout_id uuid NOT NULL,
    sequence integer NOT NULL CHECK (sequence >= 0),
    request integer NOT NULL CHECK (request >= 0),
    difference text NOT NULL,
    PRIMARY KEY (rollout_id, sequence),
    CONSTRAINT compared_answers_once UNIQUE (rollout_id, request),
    CONSTRAINT compared_answers_rollout FOREIGN KEY (project_id, rollout_id)
        REFERENCES rollouts (project_id, id) ON DELETE CASCADE
);

-- migrate:down
SET LOCAL lock_timeout = '4s';

DROP TABLE compared_answers;
