"""Evidence belongs to a weight: what is counted while the traffic is not ours is none of it."""

from datetime import UTC, datetime, timedelta

import pytest

from activities.ledger import Ledger
from domain.progress import Acted, ActState, Cause, Paused, Progress
from domain.steps import Reaction
from domain.verdicts import Status
from tests.activities.test_analysis import ERRORS, SOAK_10, Scene, failing, healthy
from tests.activities.test_streams import FIRST, METER
from tests.activities.test_streams import few as counted_twice
from tests.activities.test_trial_watch import SOAK, alike
from tests.activities.test_trial_watch import Scene as TrialScene
from tests.fakes.history import ToldHistory
from tests.plans import canary_spec, plan

BRIEF = timedelta(milliseconds=150)
STRANGE = 50_000


def few(store):
    store.candidate.serve(1)
    store.stable.serve(9)


def paused():
    return Paused(cause=Cause.DRIFT, reason="drift", since=datetime.now(UTC))


async def stored(watched):
    return (await watched.evidence.load(watched.rollout_id)).intervals


async def test_nothing_is_stored_while_somebody_elses_weights_are_in_force():
    watched = await Scene(few).set_up()
    await watched.watch(within=BRIEF)
    before = await stored(watched)
    watched.router.tamper(watched.plan.route, watched.plan.slots_at(60), "kubectl-edit")

    await watched.watch(within=BRIEF, paused=paused())

    assert await stored(watched) == before


async def test_evidence_begins_anew_once_somebody_elses_weights_are_gone():
    watched = await Scene(few).set_up()
    await watched.watch(within=BRIEF)
    before = len(await stored(watched))
    watched.router.tamper(watched.plan.route, watched.plan.slots_at(60), "kubectl-edit")
    await watched.watch(within=BRIEF, paused=paused())
    watched.counters.candidate.serve(STRANGE)
    watched.router.tamper(watched.plan.route, watched.plan.slots_at(10), "kubectl-edit")

    await watched.watch(within=BRIEF)

    later = (await stored(watched))[before:]
    assert later
    assert all(interval.candidate.requests < STRANGE for interval in later)


async def test_evidence_begins_anew_when_weights_are_put_back():
    watched = await Scene(few).set_up()
    await watched.watch(within=BRIEF)
    before = len(await stored(watched))
    watched.counters.candidate.serve(STRANGE)  # before anybody saw that they were changed

    await watched.watch(within=BRIEF, put_backs=1)

    later = (await stored(watched))[before:]
    assert later
    assert all(interval.candidate.requests < STRANGE for interval in later)


async def test_evidence_of_a_trial_begins_anew_when_its_weights_are_put_back():
    watched = await TrialScene(alike).set_up()
    await watched.watch(BRIEF)
    before = len(await stored(watched))
    watched.counters.arms["b"].serve(STRANGE)

    await watched.watch(BRIEF, put_backs=1)

    later = (await stored(watched))[before:]
    assert later
    assert all(one.started < STRANGE for interval in later for one in interval.arms)


async def test_no_meter_is_counted_while_somebody_elses_weights_are_in_force():
    watched = Scene(counted_twice)
    watched.plan = plan(canary_spec(10, gates=(ERRORS, FIRST), policies=watched.plan.policies))
    await watched.set_up()
    watched.router.tamper(watched.plan.route, watched.plan.slots_at(60), "kubectl-edit")

    await watched.watch(within=BRIEF, paused=paused())

    log = await watched.evidence.load(watched.rollout_id)
    assert log.intervals == log.meters[METER].intervals == ()


async def test_nothing_is_stored_while_the_gateway_does_not_obey():
    watched = await Scene(few, on_not_settled=Reaction.PAUSE).set_up()
    late = Acted(state=ActState.DISOBEYED, at=watched.started_at, detail="0 % observed")

    await watched.watch(within=BRIEF, acted=late, paused=paused())

    assert await stored(watched) == ()


async def test_a_candidate_that_fails_under_somebody_elses_weights_is_told():
    watched = await Scene(failing).set_up()
    watched.router.tamper(watched.plan.route, watched.plan.slots_at(60), "kubectl-edit")

    seen = await watched.watch(paused=paused())

    assert seen.verdicts[0].status is Status.FAIL
    assert await stored(watched) == ()


@pytest.mark.parametrize("meanwhile", [failing, healthy])
async def test_what_was_counted_meanwhile_bears_on_no_later_verdict(meanwhile):
    def between(store):
        traffic[-1](store)

    traffic = [few]
    watched = await Scene(between).set_up()
    ledger = Ledger(watched.plan, watched.counters, watched.evidence, watched.history)
    acted = Acted(state=ActState.DONE, at=watched.started_at)
    progress = Progress(step=SOAK_10, started_at=watched.started_at, acted=acted)
    await ledger.read(watched.rollout_id, progress)
    traffic.append(meanwhile)
    for _ in range(30):
        await ledger.read(watched.rollout_id, progress, is_ours=False)
    assert ledger.verdicts(progress)[0].status in {Status.FAIL, Status.PASS}

    traffic.append(few)
    await ledger.read(watched.rollout_id, progress)

    assert ledger.verdicts(progress)[0].status is Status.UNDECIDED


async def test_a_trial_says_nothing_of_what_was_counted_meanwhile():
    watched = await TrialScene(alike).set_up()
    ledger = Ledger(watched.plan, watched.counters, watched.evidence, ToldHistory())
    acted = Acted(state=ActState.DONE, at=watched.started_at)
    progress = Progress(step=SOAK, started_at=watched.started_at, acted=acted)
    await ledger.read(watched.rollout_id, progress, is_ours=False)

    assert ledger.trial(progress) is None
    assert ledger.due(progress, datetime.now(UTC)) is None
