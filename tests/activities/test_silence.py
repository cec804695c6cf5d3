"""A watch over gates that stay unavailable: it remembers since when, and ends when that is enough."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import Unreachable
from domain.progress import Cause, Hold, RollBack, Seen
from domain.steps import Reaction
from domain.verdicts import Status
from tests.activities import test_reading
from tests.activities.test_reading import BAD, DOWN, GOOD, SOON, gate

STALL = timedelta(milliseconds=200)


@pytest.fixture
def scene():
    async def made(*gates, **changes):
        watched = test_reading.Scene(*gates, **changes)
        impatient = replace(
            watched.plan.policies,
            on_metrics_unavailable=Reaction.ROLL_BACK,
            metrics_stall=STALL,
        )
        watched.plan = replace(watched.plan, policies=impatient)
        return await watched.set_up()

    return made


async def test_a_query_that_is_not_answered_for_long_ends_the_watch_by_the_policy(scene):
    watched = await scene(gate(consecutive_error_limit=0))
    watched.queries.script(DOWN)
    seen = await watched.watch()
    decision = watched.decided(seen)
    assert isinstance(decision, RollBack)
    assert decision.cause is Cause.METRICS_UNAVAILABLE
    assert "gate quality has been unavailable for" in decision.reason
    assert str(DOWN) in decision.reason


async def test_a_silence_goes_on_through_a_new_watch(scene):
    watched = await scene(gate(consecutive_error_limit=0))
    watched.queries.script(DOWN)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    before = Seen(silent_since={"quality": hour_ago})
    seen = await watched.watch(seen=before)
    assert seen.silent_since == {"quality": hour_ago}
    assert isinstance(watched.decided(seen), RollBack)


async def test_an_answer_ends_a_silence_for_good(scene, monkeypatch):
    monkeypatch.setattr("domain.silence.STALE_AT_LEAST", timedelta(milliseconds=50))
    watched = await scene(gate(count=1000))
    watched.queries.script(GOOD)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    seen = await watched.watch(within=SOON, seen=Seen(silent_since={"quality": hour_ago}))
    assert seen.silent_since == {}
    assert isinstance(watched.decided(seen), Hold)


async def test_a_gate_that_fails_behind_a_silence_is_a_failure(scene):
    watched = await scene(gate(consecutive_error_limit=0))
    watched.queries.script(DOWN, DOWN, BAD)
    decision = watched.decided(await watched.watch())
    assert isinstance(decision, RollBack)
    assert decision.cause is Cause.GATE_FAILED


async def test_a_registry_that_is_away_is_no_silence_of_a_gate(scene):
    watched = await scene(gate(), with_errors=True)
    watched.store.trouble = Unreachable("no database")
    seen = await watched.watch(within=timedelta(milliseconds=500))
    assert Status.UNAVAILABLE in {verdict.status for verdict in seen.verdicts}
    assert seen.silent_since == {}
    assert isinstance(watched.decided(seen), Hold)
