-- What can be served and where. Every reference carries the project, so no row can point into
-- another tenant.

-- migrate:up
SET LOCAL lock_timeout = '4s';

CREATE TABLE registered_models (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    description text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (project_id, id),
    UNIQUE (project_id, name)
);
CREATE INDEX registered_models_listed ON registered_models (project_id, created_at DESC, id);

CREATE TABLE model_versions (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    registered_model_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    uri text NOT NULL CHECK (uri <> ''),
    model_format text NOT NULL CHECK (model_format <> ''),
    runtime text,
    description text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (project_id, id),
    UNIQUE (project_id, registered_model_id, name),
    CONSTRAINT model_versions_registered_model FOREIGN KEY (project_id, registered_model_id)
        REFERENCES registered_models (project_id, id) ON DELETE RESTRICT
);
CREATE INDEX model_versions_listed ON model_versions (project_id, created_at DESC, id);

CREATE TABLE serving_environments (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    external_id text CHECK (external_id <> ''),
    description text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (project_id, id),
    UNIQUE (project_id, name)
);
CREATE INDEX serving_environments_listed ON serving_environments (project_id, created_at DESC, id);

CREATE TABLE inference_services (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    serving_environment_id uuid NOT NULL,
    registered_model_id uuid NOT NULL,
    model_version_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    desired_state text NOT NULL
        CHECK (desired_state IN ('undeployed', 'deploying', 'deployed', 'failed')),
    current_state text NOT NULL
        CHECK (current_state IN ('undeployed', 'deploying', 'deployed', 'failed')),
    state_reason text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (project_id, id),
    UNIQUE (project_id, name),
    CONSTRAINT inference_services_serving_environment
        FOREIGN KEY (project_id, serving_environment_id)
        REFERENCES serving_environments (project_id, id) ON DELETE RESTRICT,
    CONSTRAINT inference_services_registered_model FOREIGN KEY (project_id, registered_model_id)
        REFERENCES registered_models (project_id, id) ON DELETE RESTRICT,
    CONSTRAINT inference_services_model_version FOREIGN KEY (project_id, model_version_id)
        REFERENCES model_versions (project_id, id) ON DELETE RESTRICT
);
CREATE INDEX inference_services_listed ON inference_services (project_id, created_at DESC, id);
CREATE INDEX inference_services_of_environment
    ON inference_services (project_id, serving_environment_id, created_at DESC, id);

-- migrate:down
SET LOCAL lock_timeout = '4s';

DROP TABLE inference_services;
DROP TABLE serving_environments;
DROP TABLE model_versions;
DROP TABLE registered_models;
