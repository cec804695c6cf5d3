-- Names that clients ask for, and the providers' backends that answer to them.

-- migrate:up
SET LOCAL lock_timeout = '4s';

-- The gateway is one for all projects, and so are the names that clients ask it for.
CREATE TABLE virtual_models (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    description text NOT NULL,
    namespace text NOT NULL CHECK (namespace <> ''),
    route_name text NOT NULL CHECK (route_name <> ''),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (project_id, id),
    UNIQUE (namespace, route_name),
    CONSTRAINT virtual_models_name UNIQUE (name)
);
CREATE INDEX virtual_models_listed ON virtual_models (project_id, created_at DESC, id);

CREATE TABLE virtual_model_backends (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    virtual_model_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    namespace text NOT NULL CHECK (namespace <> ''),
    model_name_override text CHECK (model_name_override <> ''),
    weight integer NOT NULL CHECK (weight BETWEEN 0 AND 1000000),
    priority integer NOT NULL CHECK (priority BETWEEN 0 AND 15),
    position integer NOT NULL CHECK (position BETWEEN 0 AND 15),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (virtual_model_id, name, namespace, model_name_override),
    UNIQUE (virtual_model_id, position),
    CONSTRAINT virtual_model_backends_virtual_model FOREIGN KEY (project_id, virtual_model_id)
        REFERENCES virtual_models (project_id, id) ON DELETE CASCADE
);

-- A virtual model and an inference service under one name would get each other's requests. Both
-- sides lock the name before they look, so of two that come at once the second sees the first.
CREATE FUNCTION lock_model_name(model text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('gateway model ' || model, 0))
$$;

CREATE FUNCTION check_name_of_virtual_model() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_model_name(NEW.name);
    IF EXISTS (
        SELECT FROM traffic_configs AS c
        JOIN inference_services AS s ON s.id = c.inference_service_id
        WHERE s.name = NEW.name
    ) THEN
        RAISE EXCEPTION 'an inference service takes the traffic of %', NEW.name
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'gateway_model_name';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION check_name_of_config() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    model text;
BEGIN
    SELECT name INTO model FROM inference_services WHERE id = NEW.inference_service_id;
    PERFORM lock_model_name(model);
    IF EXISTS (SELECT FROM virtual_models WHERE name = model) THEN
        RAISE EXCEPTION 'a virtual model takes the traffic of %', model
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'gateway_model_name';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER gateway_model_name BEFORE INSERT ON virtual_models
    FOR EACH ROW EXECUTE FUNCTION check_name_of_virtual_model();
CREATE TRIGGER gateway_model_name BEFORE INSERT ON traffic_configs
    FOR EACH ROW EXECUTE FUNCTION check_name_of_config();

-- migrate:down
SET LOCAL lock_timeout = '4s';

DROP TRIGGER gateway_model_name ON traffic_configs;
DROP TABLE virtual_model_backends;
DROP TABLE virtual_models;
DROP FUNCTION check_name_of_config();
DROP FUNCTION check_name_of_virtual_model();
DROP FUNCTION lock_model_name(text);
