"""What a watch measures before its evidence begins, and that it holds for the whole rollout."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import Forbidden, Refused, Unreachable
from domain.evidence.baseline import BEFORE, FIXED, Baseline
from domain.evidence.judge import judge
from domain.gates import Source
from domain.verdicts import Status
from tests.activities.test_analysis import SOAK_10, AbsentEvidence, Scene, failing, healthy
from tests.fakes.history import in_bursts


@pytest.fixture
def scene():
    async def made(between=healthy, **changes):
        watched = await Scene(between, **changes).set_up()
        watched.history.history = in_bursts()
        return watched

    return made


async def baseline_of(watched):
    return (await watched.evidence.load(watched.rollout_id)).baseline


async def test_the_overdispersion_is_learnt_from_the_hour_before_and_kept(scene):
    watched = await scene(overdispersion=None)

    seen = await watched.watch()
    kept = await baseline_of(watched)

    assert watched.history.windows == [BEFORE]
    assert 3 < kept.phi < 20
    assert kept.phi_source == "2 stable pods, 60 min"
    assert f"Evidence is divided by {kept.phi:.3g}" in seen.verdicts[0].reason


async def test_verdicts_can_be_recomputed_from_the_intervals_and_the_baseline(scene):
    watched = await scene(failing, overdispersion=None)

    seen = await watched.watch()
    log = await watched.evidence.load(watched.rollout_id)

    assert seen.verdicts[0].status is Status.FAIL
    again = judge(watched.plan.gates, log.intervals, step=SOAK_10, baseline=log.baseline)
    assert again == seen.verdicts


async def test_a_watcher_that_starts_anew_goes_by_what_was_measured_at_first(scene):
    watched = await scene(overdispersion=None)
    await watched.watch()
    first = await baseline_of(watched)
    watched.history.history = in_bursts(seed=9)

    await watched.watch()

    assert len(watched.history.windows) == 1
    assert await baseline_of(watched) == first


async def test_a_factor_of_the_users_own_is_not_measured(scene):
    watched = await scene(overdispersion=3.0)

    await watched.watch()

    assert watched.history.windows == []
    assert await baseline_of(watched) == Baseline(phi=3.0, phi_source=FIXED)


async def test_a_rollout_that_has_evidence_and_no_baseline_began_without_one_and_stays_so(scene):
    watched = await scene(overdispersion=1.0)
    await watched.watch()
    log = await watched.evidence.load(watched.rollout_id)
    older = type(watched.evidence)()
    for interval in log.intervals:
        await older.append(watched.rollout_id, interval=interval, cursor=log.cursor)
    watched.evidence, watched.plan = older, _learning(watched.plan)

    seen = await watched.watch()

    assert watched.history.windows == []
    assert await baseline_of(watched) is None
    assert "divided" not in seen.verdicts[0].reason


async def test_of_gates_on_other_sources_the_gateway_still_tells_the_overdispersion(scene):
    watched = await scene(overdispersion=None)
    others = tuple(replace(gate, source=Source.VLLM) for gate in watched.plan.gates)
    watched.plan = replace(watched.plan, gates=others)

    await watched.watch(timedelta(milliseconds=100))

    assert watched.history.sources == [Source.ENVOY]
    assert (await baseline_of(watched)).phi_source == "2 stable pods, 60 min"


async def test_a_history_that_is_away_for_a_moment_is_waited_for(scene):
    watched = await scene(overdispersion=None)
    watched.history.fail(Unreachable("timeout"), Unreachable("timeout"))

    await watched.watch()

    assert (await baseline_of(watched)).phi_source == "2 stable pods, 60 min"


async def test_no_evidence_is_taken_before_the_baseline(scene):
    watched = await scene(overdispersion=None)
    watched.history.fail(Unreachable("timeout"))

    seen = await watched.watch(timedelta(0))

    assert seen.verdicts[0].status is Status.UNAVAILABLE
    assert await watched.evidence.size(watched.rollout_id) == 0


@pytest.mark.parametrize(
    ("errors", "why"),
    [
        ([Refused("too many samples")], "cannot be read: too many samples"),
        ([Unreachable("timeout")] * 3, "did not come in time"),
        ([Forbidden("no access")] * 3, "did not come in time"),
    ],
)
async def test_a_history_that_cannot_be_had_gives_the_default_and_says_why(scene, errors, why):
    watched = await scene(overdispersion=None)
    watched.history.fail(*errors)

    await watched.watch()
    kept = await baseline_of(watched)

    assert kept.phi == 1.5
    assert why in kept.phi_source


async def test_what_was_measured_while_the_registry_was_away_is_kept_when_it_is_back(scene):
    watched = await scene(overdispersion=None)
    watched.evidence = AbsentEvidence()
    watching = asyncio.ensure_future(watched.watch())
    while watched.counters.readings < 3:  # noqa: ASYNC110 - nobody sends word
        await asyncio.sleep(0.01)
    watched.evidence.is_away = False

    await watching

    assert len(watched.history.windows) == 1
    assert (await baseline_of(watched)).phi_source == "2 stable pods, 60 min"


async def test_of_two_watchers_at_once_both_go_by_the_first_baseline(scene):
    watched = await scene(overdispersion=None)

    both = await asyncio.gather(*(watched.watch() for _ in range(2)))

    kept = await baseline_of(watched)
    for seen in both:
        assert f"divided by {kept.phi:.3g}" in seen.verdicts[0].reason


def _learning(plan):
    return replace(plan, policies=replace(plan.policies, overdispersion=None))
