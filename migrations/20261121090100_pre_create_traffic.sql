-- How the traffic of a service is divided. Once a config is active, the weights of its active
-- variants sum to 100 at every commit.

-- migrate:up
SET LOCAL lock_timeout = '4s';

CREATE TABLE traffic_configs (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    inference_service_id uuid NOT NULL,
    strategy text NOT NULL CHECK (strategy <> ''),
    status text NOT NULL CHECK (status IN ('publishing', 'active', 'failed')),
    status_reason text NOT NULL,
    namespace text NOT NULL CHECK (namespace <> ''),
    route_name text NOT NULL CHECK (route_name <> ''),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (project_id, id),
    UNIQUE (project_id, inference_service_id),
    UNIQUE (namespace, route_name),
    CONSTRAINT traffic_configs_inference_service FOREIGN KEY (project_id, inference_service_id)
        REFERENCES inference_services (project_id, id) ON DELETE RESTRICT
);
CREATE INDEX traffic_configs_listed ON traffic_configs (project_id, created_at DESC, id);

CREATE TABLE traffic_variants (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    traffic_config_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    role text NOT NULL CHECK (role IN ('stable', 'candidate', 'retiring')),
    model_version_id uuid NOT NULL,
    workload text NOT NULL CHECK (workload <> ''),
    slot integer NOT NULL CHECK (slot >= 0),
    weight integer NOT NULL CHECK (weight BETWEEN 0 AND 100),
    status text NOT NULL CHECK (status IN ('active', 'inactive')),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (traffic_config_id, name),
    UNIQUE (traffic_config_id, model_version_id),
    CONSTRAINT traffic_variants_idle_without_weight CHECK (status = 'active' OR weight = 0),
    CONSTRAINT traffic_variants_stable_is_active CHECK (role <> 'stable' OR status = 'active'),
    CONSTRAINT traffic_variants_traffic_config FOREIGN KEY (project_id, traffic_config_id)
        REFERENCES traffic_configs (project_id, id) ON DELETE CASCADE,
    CONSTRAINT traffic_variants_model_version FOREIGN KEY (project_id, model_version_id)
        REFERENCES model_versions (project_id, id) ON DELETE RESTRICT
);
CREATE UNIQUE INDEX traffic_variants_one_stable
    ON traffic_variants (traffic_config_id) WHERE role = 'stable';
CREATE UNIQUE INDEX traffic_variants_slot
    ON traffic_variants (traffic_config_id, slot) WHERE status = 'active' OR role = 'retiring';

-- The config's row is locked before its weights are added up: of two transactions that commit at
-- once the second waits here and sees what the first has written.
CREATE FUNCTION require_weights_of_100(config uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    config_status text;
    total bigint;
BEGIN
    SELECT status INTO config_status FROM traffic_configs WHERE id = config FOR NO KEY UPDATE;
    IF config_status IS DISTINCT FROM 'active' THEN
        RETURN;
    END IF;
    SELECT coalesce(sum(weight), 0) INTO total
        FROM traffic_variants WHERE traffic_config_id = config AND status = 'active';
    IF total <> 100 THEN
        RAISE EXCEPTION 'the active weights of traffic config % sum to %, not 100', config, total
            USING ERRCODE = 'check_violation', CONSTRAINT = 'traffic_weights_sum_to_100';
    END IF;
END
$$;

CREATE FUNCTION check_weights_of_variant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM require_weights_of_100(OLD.traffic_config_id);
    END IF;
    IF TG_OP = 'INSERT' OR NEW.traffic_config_id IS DISTINCT FROM OLD.traffic_config_id THEN
        PERFORM require_weights_of_100(NEW.traffic_config_id);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION check_weights_of_config() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM require_weights_of_100(NEW.id);
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER traffic_weights_sum_to_100
    AFTER INSERT OR UPDATE OR DELETE ON traffic_variants
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_weights_of_variant();
CREATE CONSTRAINT TRIGGER traffic_weights_sum_to_100
    AFTER INSERT OR UPDATE OF status ON traffic_configs
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_weights_of_config();

-- migrate:down
SET LOCAL lock_timeout = '4s';

DROP TABLE traffic_variants;
DROP TABLE traffic_configs;
DROP FUNCTION check_weights_of_config();
DROP FUNCTION check_weights_of_variant();
DROP FUNCTION require_weights_of_100(uuid);
