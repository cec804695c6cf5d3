-- Counts of sources beside the gateway's, which a rollout's gates may ask for: each meter has a stream
-- of its own. In tables of their own, so that the code before this goes on with the gateway's.

-- migrate:up
SET LOCAL lock_timeout = '4s';

CREATE TABLE meter_intervals (
    project_id uuid NOT NULL,
    rollout_id uuid NOT NULL,
    meter text NOT NULL CHECK (meter <> ''),
    sequence integer NOT NULL CHECK (sequence >= 0),
    step integer NOT NULL CHECK (step >= 0),
    weight integer NOT NULL CHECK (weight BETWEEN 0 AND 100),
    opened_at timestamptz NOT NULL,
    closed_at timestamptz NOT NULL,
    candidate jsonb NOT NULL CHECK (jsonb_typeof(candidate) = 'object'),
    stable jsonb NOT NULL CHECK (jsonb_typeof(stable) = 'object'),
    bounds_ms double precision[] NOT NULL,
    resets integer NOT NULL CHECK (resets >= 0),
    PRIMARY KEY (rollout_id, meter, sequence),
    CONSTRAINT meter_intervals_take_time CHECK (opened_at <= closed_at),
    CONSTRAINT meter_intervals_rollout FOREIGN KEY (project_id, rollout_id)
        REFERENCES rollouts (project_id, id) ON DELETE CASCADE
);

CREATE TABLE meter_cursors (
    project_id uuid NOT NULL,
    rollout_id uuid NOT NULL,
    meter text NOT NULL CHECK (meter <> ''),
    cursor jsonb NOT NULL CHECK (jsonb_typeof(cursor) = 'object'),
    PRIMARY KEY (rollout_id, meter),
    CONSTRAINT meter_cursors_rollout FOREIGN KEY (project_id, rollout_id)
        REFERENCES rollouts (project_id, id) ON DELETE CASCADE
);

-- migrate:down
SET LOCAL lock_timeout = '4s';

DROP TABLE meter_cursors;
DROP TABLE meter_intervals;
