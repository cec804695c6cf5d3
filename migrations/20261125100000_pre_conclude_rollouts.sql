-- A rollout may end without a promotion and without a rollback: a shadow concludes. What has ended
-- is told by ended_at from now on, so that a further phase asks for no change of queries.

-- migrate:up
SET LOCAL lock_timeout = '4s';

ALTER TABLE rollouts
    DROP CONSTRAINT rollouts_phase_check,
    ADD CONSTRAINT rollouts_phase_check CHECK (phase IN (
        'pending', 'progressing', 'paused', 'rolling_back', 'promoting',
        'promoted', 'rolled_back', 'concluded', 'failed'
    )),
    DROP CONSTRAINT rollouts_ended_when_final,
    ADD CONSTRAINT rollouts_ended_when_final CHECK (
        (ended_at IS NOT NULL) = (phase IN ('promoted', 'rolled_back', 'concluded', 'failed'))
    );
DROP INDEX rollouts_unfinished;
CREATE UNIQUE INDEX rollouts_unfinished ON rollouts (traffic_config_id) WHERE ended_at IS NULL;

-- migrate:down
SET LOCAL lock_timeout = '4s';

DROP INDEX rollouts_unfinished;
CREATE UNIQUE INDEX rollouts_unfinished ON rollouts (traffic_config_id)
    WHERE phase NOT IN ('promoted', 'rolled_back', 'failed');
ALTER TABLE rollouts
    DROP CONSTRAINT rollouts_ended_when_final,
    ADD CONSTRAINT rollouts_ended_when_final
        CHECK ((ended_at IS NOT NULL) = (phase IN ('promoted', 'rolled_back', 'failed'))),
    DROP CONSTRAINT rollouts_phase_check,
    ADD CONSTRAINT rollouts_phase_check CHECK (phase IN (
        'pending', 'progressing', 'paused', 'rolling_back', 'promoting',
        'promoted', 'rolled_back', 'failed'
    ));
