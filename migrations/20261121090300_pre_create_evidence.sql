-- What the gates of a rollout have seen: every verdict can be recomputed from these rows. Counts
-- are documents, because what a source can count grows with the sources.

-- migrate:up
SET LOCAL lock_timeout = '4s';

CREATE TABLE evidence_intervals (
    project_id uuid NOT NULL,
    rollout_id uuid NOT NULL,
    sequence integer NOT NULL CHECK (sequence >= 0),
    step integer NOT NULL CHECK (step >= 0),
    weight integer NOT NULL CHECK (weight BETWEEN 0 AND 100),
    opened_at timestamptz NOT NULL,
    closed_at timestamptz NOT NULL,
    candidate jsonb NOT NULL CHECK (jsonb_typeof(candidate) = 'object'),
    stable jsonb NOT NULL CHECK (jsonb_typeof(stable) = 'object'),
    bounds_ms double precision[] NOT NULL,
    resets integer NOT NULL CHECK (resets >= 0),
    PRIMARY KEY (rollout_id, sequence),
    CONSTRAINT evidence_intervals_take_time CHECK (opened_at <= closed_at),
    CONSTRAINT evidence_intervals_rollout FOREIGN KEY (project_id, rollout_id)
        REFERENCES rollouts (project_id, id) ON DELETE CASCADE
);

CREATE TABLE evidence_cursors (
    project_id uuid NOT NULL,
    rollout_id uuid PRIMARY KEY,
    cursor jsonb NOT NULL CHECK (jsonb_typeof(cursor) = 'object'),
    CONSTRAINT evidence_cursors_rollout FOREIGN KEY (project_id, rollout_id)
        REFERENCES rollouts (project_id, id) ON DELETE CASCADE
);

-- migrate:down
SET LOCAL lock_timeout = '4s';

DROP TABLE evidence_cursors;
DROP TABLE evidence_intervals;
