-- What holds between the rollouts of a project: when none advances, and how many do at once.

-- migrate:up
SET LOCAL lock_timeout = '4s';

CREATE TABLE freeze_windows (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    reason text NOT NULL,
    times jsonb NOT NULL CHECK (jsonb_typeof(times) = 'object'),
    groups text[] CHECK (cardinality(groups) > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (project_id, id),
    UNIQUE (project_id, name)
);
CREATE INDEX freeze_windows_listed ON freeze_windows (project_id, created_at DESC, id);

CREATE TABLE rollout_groups (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    most_at_once integer NOT NULL CHECK (most_at_once > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (project_id, id),
    UNIQUE (project_id, name)
);
CREATE INDEX rollout_groups_listed ON rollout_groups (project_id, created_at DESC, id);

-- Who has asked for a turn. Whose it is follows from the order of the tickets; they are given out
-- under a lock on the group, so none comes in before one that was seen already.
CREATE TABLE rollout_queue (
    rollout_id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    rollout_group_id uuid NOT NULL,
    ticket bigint GENERATED ALWAYS AS IDENTITY,
    asked_at timestamptz NOT NULL,
    CONSTRAINT rollout_queue_rollout FOREIGN KEY (project_id, rollout_id)
        REFERENCES rollouts (project_id, id) ON DELETE CASCADE,
    CONSTRAINT rollout_queue_rollout_group FOREIGN KEY (project_id, rollout_group_id)
        REFERENCES rollout_groups (project_id, id) ON DELETE CASCADE
);
CREATE INDEX rollout_queue_in_order ON rollout_queue (rollout_group_id, ticket);

-- migrate:down
SET LOCAL lock_timeout = '4s';

DROP TABLE rollout_queue;
DROP TABLE rollout_groups;
DROP TABLE freeze_windows;
