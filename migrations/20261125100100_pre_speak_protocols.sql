-- What the models of an inference service speak; it chooses between AIGatewayRoute and HTTPRoute.

-- migrate:up
SET LOCAL lock_timeout = '4s';

ALTER TABLE inference_services
    ADD COLUMN protocol text NOT NULL DEFAULT 'openai' CHECK (protocol IN ('openai', 'v1', 'v2'));

-- migrate:down
SET LOCAL lock_timeout = '4s';

ALTER TABLE inference_services DROP COLUMN protocol;
