-- What the gates without statistics have read: their verdicts can be recomputed from these rows. A
-- number may be NaN or infinite, which JSON could not say.

-- migrate:up
SET LOCAL lock_timeout = '4s';

CREATE TABLE gate_readings (
    project_id uuid NOT NULL,
    rollout_id uuid NOT NULL,
    gate text NOT NULL,
    variant text NOT NULL,
    sequence integer NOT NULL CHECK (sequence >= 0),
    step integer NOT NULL CHECK (step >= 0),
    taken_at timestamptz NOT NULL,
    series double precision[] NOT NULL,
    error text NOT NULL,
    PRIMARY KEY (rollout_id, gate, variant, sequence),
    CONSTRAINT gate_readings_rollout FOREIGN KEY (project_id, rollout_id)
        REFERENCES rollouts (project_id, id) ON DELETE CASCADE
);

-- migrate:down
SET LOCAL lock_timeout = '4s';

DROP TABLE gate_readings;
