-- One-shot changes of live traffic: what is asked for is stored before anything moves. Variants that
-- lost their traffic stay warm for a while and are then retired; their rows are left to go back to.

-- migrate:up
SET LOCAL lock_timeout = '4s';

ALTER TABLE traffic_configs
    ADD COLUMN paused boolean NOT NULL DEFAULT false,
    ADD COLUMN default_gates jsonb CHECK (jsonb_typeof(default_gates) = 'array'),
    ADD COLUMN default_policies jsonb CHECK (jsonb_typeof(default_policies) = 'object'),
    ADD COLUMN rollback_window interval NOT NULL DEFAULT '1 hour'
        CHECK (rollback_window >= interval '0');

ALTER TABLE traffic_variants
    ADD COLUMN joined_at timestamptz,
    ADD COLUMN retire_at timestamptz,
    DROP CONSTRAINT traffic_variants_status_check,
    ADD CONSTRAINT traffic_variants_status_check
        CHECK (status IN ('active', 'inactive', 'retired'));
UPDATE traffic_variants SET joined_at = created_at;
ALTER TABLE traffic_variants
    ALTER COLUMN joined_at SET NOT NULL,
    ADD CONSTRAINT traffic_variants_retires_when_idle
        CHECK (retire_at IS NULL OR status = 'inactive');
DROP INDEX traffic_variants_slot;
CREATE UNIQUE INDEX traffic_variants_slot
    ON traffic_variants (traffic_config_id, slot) WHERE status <> 'retired';
CREATE INDEX traffic_variants_due ON traffic_variants (retire_at) WHERE retire_at IS NOT NULL;

-- An operation outlives its subject: the answer to a deletion can be looked up afterwards.
CREATE TABLE operations (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    subject text NOT NULL CHECK (subject IN ('traffic_config', 'virtual_model')),
    subject_id uuid NOT NULL,
    summary text NOT NULL CHECK (summary <> ''),
    change jsonb NOT NULL CHECK (jsonb_typeof(change) = 'object'),
    phase text NOT NULL CHECK (phase IN ('running', 'tidying', 'done', 'undone')),
    problem text,
    detail text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    UNIQUE (project_id, id),
    CONSTRAINT operations_ended_when_final CHECK ((ended_at IS NULL) = (phase IN ('running', 'tidying')))
);
CREATE INDEX operations_listed ON operations (project_id, created_at DESC, id);
CREATE INDEX operations_of_subject ON operations (project_id, subject_id, created_at DESC, id);
-- One at a time, of whatever project: a subject has one.
CREATE UNIQUE INDEX operations_unfinished ON operations (subject_id)
    WHERE phase IN ('running', 'tidying');

-- migrate:down
SET LOCAL lock_timeout = '4s';

DROP TABLE operations;
DELETE FROM traffic_variants WHERE status = 'retired';
DROP INDEX traffic_variants_due;
DROP INDEX traffic_variants_slot;
CREATE UNIQUE INDEX traffic_variants_slot
    ON traffic_variants (traffic_config_id, slot) WHERE status = 'active' OR role = 'retiring';
ALTER TABLE traffic_variants
    DROP CONSTRAINT traffic_variants_retires_when_idle,
    DROP CONSTRAINT traffic_variants_status_check,
    ADD CONSTRAINT traffic_variants_status_check CHECK (status IN ('active', 'inactive')),
    DROP COLUMN retire_at,
    DROP COLUMN joined_at;
ALTER TABLE traffic_configs
    DROP COLUMN rollback_window,
    DROP COLUMN default_policies,
    DROP COLUMN default_gates,
    DROP COLUMN paused;
