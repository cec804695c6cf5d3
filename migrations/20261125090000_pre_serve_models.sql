-- An inference service serves several versions. The column of the one version goes with the same
-- file that moves it: nothing is released yet, so no old code reads it.

-- migrate:up
SET LOCAL lock_timeout = '4s';

CREATE TABLE serve_model (
    project_id uuid NOT NULL,
    inference_service_id uuid NOT NULL,
    model_version_id uuid NOT NULL,
    position integer NOT NULL CHECK (position >= 0),
    PRIMARY KEY (inference_service_id, model_version_id),
    UNIQUE (inference_service_id, position),
    CONSTRAINT serve_model_inference_service FOREIGN KEY (project_id, inference_service_id)
        REFERENCES inference_services (project_id, id) ON DELETE CASCADE,
    CONSTRAINT serve_model_model_version FOREIGN KEY (project_id, model_version_id)
        REFERENCES model_versions (project_id, id) ON DELETE RESTRICT
);
CREATE INDEX serve_model_of_version ON serve_model (project_id, model_version_id);

INSERT INTO serve_model (project_id, inference_service_id, model_version_id, position)
SELECT project_id, id, model_version_id, 0 FROM inference_services;

ALTER TABLE inference_services
    DROP COLUMN model_version_id,
    DROP CONSTRAINT inference_services_current_state_check,
    ADD CONSTRAINT inference_services_current_state_check CHECK (
        current_state IN ('undeployed', 'deploying', 'deployed', 'undeploying', 'failed')
    ),
    ADD COLUMN description text NOT NULL DEFAULT '',
    ADD COLUMN leaving jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(leaving) = 'array');
CREATE INDEX inference_services_of_model ON inference_services (project_id, registered_model_id);

-- migrate:down
SET LOCAL lock_timeout = '4s';

UPDATE inference_services SET current_state = 'failed' WHERE current_state = 'undeploying';
ALTER TABLE inference_services
    DROP COLUMN leaving,
    DROP COLUMN description,
    DROP CONSTRAINT inference_services_current_state_check,
    ADD CONSTRAINT inference_services_current_state_check CHECK (
        current_state IN ('undeployed', 'deploying', 'deployed', 'failed')
    ),
    ADD COLUMN model_version_id uuid,
    ADD CONSTRAINT inference_services_model_version FOREIGN KEY (project_id, model_version_id)
        REFERENCES model_versions (project_id, id) ON DELETE RESTRICT;
DROP INDEX inference_services_of_model;

-- Of several versions the first one stays.
UPDATE inference_services AS s
SET model_version_id = m.model_version_id
FROM serve_model AS m
WHERE m.inference_service_id = s.id AND m.position = (
    SELECT min(position) FROM serve_model WHERE inference_service_id = s.id
);
ALTER TABLE inference_services ALTER COLUMN model_version_id SET NOT NULL;

DROP TABLE serve_model;
