-- Templates whose gates hold for the rollouts of a traffic config that name none.

-- migrate:up
SET LOCAL lock_timeout = '4s';

-- json, not jsonb: arguments are numbers as they were written, 3.0 and 3 are not the same.
ALTER TABLE traffic_configs
    ADD COLUMN default_gate_templates json NOT NULL DEFAULT '[]'
        CONSTRAINT traffic_configs_default_gate_templates
        CHECK (json_typeof(default_gate_templates) = 'array');

-- migrate:down
SET LOCAL lock_timeout = '4s';

ALTER TABLE traffic_configs DROP COLUMN default_gate_templates;
