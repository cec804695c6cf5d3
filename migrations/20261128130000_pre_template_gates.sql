-- Templates of gates: a name, of a project or global, and its versions, which never change.

-- migrate:up
SET LOCAL lock_timeout = '4s';

-- Without a project it is global.
CREATE TABLE gate_templates (
    id uuid PRIMARY KEY,
    project_id uuid,
    name text NOT NULL CHECK (name <> ''),
    retired_at timestamptz,
    created_at timestamptz NOT NULL,
    UNIQUE (project_id, id),
    UNIQUE NULLS NOT DISTINCT (project_id, name)
);

-- json, not jsonb: what is written is kept as it was written, numbers and order included.
CREATE TABLE gate_template_versions (
    project_id uuid,
    gate_template_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    description text NOT NULL,
    arguments json NOT NULL CHECK (json_typeof(arguments) = 'array'),
    gates json NOT NULL CHECK (json_typeof(gates) = 'array'),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (gate_template_id, version),
    CONSTRAINT gate_template_versions_gate_template FOREIGN KEY (project_id, gate_template_id)
        REFERENCES gate_templates (project_id, id)
);

-- migrate:down
SET LOCAL lock_timeout = '4s';

DROP TABLE gate_template_versions;
DROP TABLE gate_templates;
