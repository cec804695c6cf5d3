"""Meters beside the gateway's: each has a stream of its own, and speaks for its own gates only."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import Forbidden, Refused, Unreachable
from domain.evidence.counters import Series, SeriesRole
from domain.evidence.judge import judge
from domain.gates import AgainstStable, Gate, Metric, Source
from domain.verdicts import Status
from tests.activities.simulated import Arm
from tests.activities.test_analysis import ERRORS, QUICK, SOAK_10, Scene
from tests.plans import canary_spec, plan, policies

METER = "vllm/time_to_first_token"
# One of the bounds of simulated counters that vLLM has, too.
FIRST = Gate(
    name="first",
    metric=Metric.TIME_TO_FIRST_TOKEN,
    source=Source.VLLM,
    slow_over_ms=100,
    against_stable=AgainstStable(floor=0.01),
)
SHORT_WATCH = timedelta(milliseconds=150)


def serving(*, slow=0):
    """Traffic that is healthy at the gateway; so many first tokens of the candidate are late."""

    def between(store):
        store.candidate.serve(300)
        store.stable.serve(2700)
        candidate, stable = store.meter(METER)
        candidate.serve(300, slow=slow)
        stable.serve(2700)

    return between


def few(store):
    """Too little to prove anything soon."""
    store.candidate.serve(20)
    store.stable.serve(180)
    for arm, number in zip(store.meter(METER), (20, 180), strict=True):
        arm.serve(number)


@pytest.fixture
def scene():
    async def made(between, *gates) -> Scene:
        watched = Scene(between)
        spec = canary_spec(
            10, 50, gates=gates or (ERRORS, FIRST), policies=policies(probe_interval=QUICK)
        )
        watched.plan = plan(spec)
        return await watched.set_up()

    return made


@pytest.fixture
def impatient(monkeypatch):
    """A meter is silent as soon as it shows nothing new."""
    monkeypatch.setattr("domain.silence.STALE_AT_LEAST", timedelta(milliseconds=50))


def statuses(seen):
    return {verdict.gate: verdict.status for verdict in seen.verdicts}


async def test_gates_of_two_meters_pass_each_on_its_own_counts(scene):
    watched = await scene(serving())
    seen = await watched.watch()
    assert [(v.gate, v.status) for v in seen.verdicts] == [
        ("errors", Status.PASS),
        ("first", Status.PASS),
    ]


async def test_verdicts_come_in_the_plans_order(scene):
    watched = await scene(serving(), FIRST, ERRORS)
    seen = await watched.watch()
    assert [verdict.gate for verdict in seen.verdicts] == ["first", "errors"]


async def test_a_regression_that_only_one_meter_shows_fails_its_gate(scene):
    watched = await scene(serving(slow=60))
    seen = await watched.watch()
    assert statuses(seen)["first"] is Status.FAIL
    assert statuses(seen)["errors"] is not Status.FAIL


def an_hour(within):
    """Buckets of stable that grew to these counts in the hour before."""
    return tuple(
        Series(
            key=f"le{bound}",
            role=SeriesRole.BUCKET,
            bound_ms=bound,
            samples=((0.0, 0.0), (3600.0, float(count))),
        )
        for bound, count in within.items()
    )


async def test_a_time_of_another_meter_without_a_bound_counts_at_those_of_its_own_history(scene):
    watched = await scene(serving(slow=60), ERRORS, replace(FIRST, slow_over_ms=None))
    watched.counters.past[METER] = an_hour({50.0: 940, 100.0: 995, 250.0: 1000, math.inf: 1000})
    seen = await watched.watch()
    kept = (await watched.evidence.load(watched.rollout_id)).baseline
    assert kept.slow_bounds == {"first": (50.0, 100.0)}
    assert statuses(seen)["first"] is Status.FAIL
    assert "100 ms" in next(one.reason for one in seen.verdicts if one.gate == "first")


@pytest.mark.parametrize("error", [Refused("not this query"), None])
async def test_without_a_history_of_its_meter_such_a_gate_can_say_nothing(scene, error):
    watched = await scene(serving(), ERRORS, replace(FIRST, slow_over_ms=None))
    if error:
        watched.counters.silent[METER] = error
    seen = await watched.watch(within=SHORT_WATCH)
    assert statuses(seen)["first"] is Status.UNAVAILABLE
    kept = (await watched.evidence.load(watched.rollout_id)).baseline
    assert kept.slow_bounds == {}


async def test_every_stream_is_stored_and_gives_the_same_verdicts_again(scene):
    watched = await scene(serving(slow=60))
    seen = await watched.watch()
    log = await watched.evidence.load(watched.rollout_id)
    assert set(log.meters) == {METER}
    stream = log.meters[METER].intervals
    assert [one.sequence for one in stream] == list(range(len(stream)))
    assert await watched.evidence.size(watched.rollout_id) == len(log.intervals) + len(stream)
    again = judge(
        watched.plan.gates,
        log.intervals,
        step=SOAK_10,
        meters={METER: stream},
        baseline=log.baseline,
    )
    assert again == seen.verdicts


async def test_a_watcher_that_died_goes_on_where_each_stream_ends(scene):
    watched = await scene(few)
    await watched.watch(within=SHORT_WATCH)
    before = (await watched.evidence.load(watched.rollout_id)).meters[METER].intervals
    candidate, _ = watched.counters.meter(METER)
    candidate.serve(300)
    await watched.watch(within=SHORT_WATCH)
    after = (await watched.evidence.load(watched.rollout_id)).meters[METER].intervals
    assert after[: len(before)] == before
    assert after[len(before)].candidate.requests == 320, "what went by in between is not lost"


async def test_a_rollout_without_other_meters_stores_none(scene):
    watched = await scene(serving(), ERRORS)
    await watched.watch()
    log = await watched.evidence.load(watched.rollout_id)
    assert log.meters == {}


@pytest.mark.parametrize("trouble", [Unreachable("no route"), Refused("too many"), Forbidden("no")])
async def test_a_meter_that_cannot_be_read_is_unavailable_and_the_others_go_on(scene, trouble):
    watched = await scene(serving())
    watched.counters.silent[METER] = trouble
    seen = await watched.watch(within=SHORT_WATCH)
    assert statuses(seen) == {"errors": Status.PASS, "first": Status.UNAVAILABLE}
    assert str(trouble) in seen.verdicts[1].reason
    assert seen.unavailable_since is None


async def test_a_meter_that_was_away_goes_on_without_loss(scene):
    watched = await scene(serving())
    watched.counters.silent[METER] = Unreachable("no route")
    await watched.watch(within=SHORT_WATCH)
    watched.counters.silent.clear()
    seen = await watched.watch()
    assert statuses(seen) == {"errors": Status.PASS, "first": Status.PASS}


async def test_a_failure_stays_though_its_meter_falls_silent(scene):
    watched = await scene(serving(slow=60))
    failed = await watched.watch()
    watched.counters.silent[METER] = Unreachable("no route")
    seen = await watched.watch(within=SHORT_WATCH)
    assert seen.verdicts[1] == failed.verdicts[1]
    assert seen.verdicts[1].status is Status.FAIL


async def test_a_meter_that_shows_nothing_of_anybody_is_unavailable(scene, impatient):
    watched = await scene(lambda store: (store.candidate.serve(300), store.stable.serve(2700)))
    seen = await watched.watch(within=timedelta(milliseconds=300))
    assert statuses(seen) == {"errors": Status.PASS, "first": Status.UNAVAILABLE}
    assert "vllm shows nothing yet of the candidate and nothing yet of stable" in (
        seen.verdicts[1].reason
    )


async def test_a_candidate_that_was_never_counted_beside_stable_is_undecided(scene, impatient):
    def beside(store):
        store.candidate.serve(300)
        store.stable.serve(2700)
        arms = store.meters.setdefault(METER, {"stable": Arm()})
        arms["stable"].serve(2700)

    watched = await scene(beside)
    seen = await watched.watch(within=timedelta(milliseconds=300))
    assert statuses(seen) == {"errors": Status.PASS, "first": Status.UNDECIDED}
    assert "has counted no time to first token of the candidate" in seen.verdicts[1].reason


async def test_a_candidate_that_is_shown_no_more_is_unavailable(scene, impatient):
    watched = await scene(few)
    await watched.watch(within=timedelta(milliseconds=30))
    watched.counters.meters[METER]["candidate"].series = lambda at: ()
    seen = await watched.watch(within=timedelta(milliseconds=300))
    assert statuses(seen)["first"] is Status.UNAVAILABLE
    assert "nothing since" in seen.verdicts[1].reason
    assert "of stable" not in seen.verdicts[1].reason


async def test_a_registry_that_is_away_lets_no_meter_pass(scene):
    watched = await scene(serving())

    async def away(*_, **__):
        raise Unreachable("no database")

    watched.evidence.append = away
    seen = await watched.watch(within=SHORT_WATCH)
    assert Status.PASS not in statuses(seen).values()


async def test_a_gate_on_a_meter_alone_is_judged_though_the_gateway_has_none(scene):
    watched = await scene(serving(slow=60), replace(FIRST, name="only"))
    seen = await watched.watch()
    assert statuses(seen) == {"only": Status.FAIL}
    log = await watched.evidence.load(watched.rollout_id)
    assert log.intervals, "the gateway's stream is kept always"


@pytest.mark.parametrize("quiet", [("candidate", "stable"), ("candidate",)])
async def test_a_new_watcher_does_not_pass_a_silent_meter_on_what_was_stored_long_ago(scene, quiet):
    watched = await scene(serving())
    watched.counters.lag(timedelta(hours=1))
    assert statuses(await watched.watch()) == {"errors": Status.PASS, "first": Status.PASS}
    for arm in quiet:
        watched.counters.meters[METER][arm].series = lambda at: ()
    seen = await watched.watch(within=SHORT_WATCH)
    assert statuses(seen) == {"errors": Status.PASS, "first": Status.UNAVAILABLE}
    told = seen.verdicts[1].reason
    assert [f"of {who}" in told for who in ("the candidate", "stable")] == [
        True,
        "stable" in quiet,
    ]


async def test_a_new_watcher_passes_on_what_was_stored_just_now(scene):
    watched = await scene(serving())
    await watched.watch()
    for arm in watched.counters.meter(METER):
        arm.series = lambda at: ()
    seen = await watched.watch(within=SHORT_WATCH)
    assert statuses(seen)["first"] is Status.PASS


async def test_a_new_watcher_that_hears_the_meter_goes_on_however_old_the_stored_intervals_are(
    scene,
):
    watched = await scene(serving())
    watched.counters.lag(timedelta(hours=1))
    await watched.watch()
    seen = await watched.watch(within=SHORT_WATCH)
    assert statuses(seen) == {"errors": Status.PASS, "first": Status.PASS}
