"""A week-long A/B test with 15 s probes stays far below Temporal's limit of history events."""

from datetime import datetime, timedelta

from domain.evidence.allocation import least_stand
from domain.progress import Seen
from domain.rollout import EventKind, Phase
from domain.trial import ThompsonRules
from domain.verdicts import Status
from tests.plans import ab_test, policies, trial, verdict
from tests.workflows.long_watch import events_of, return_at

WEEK = timedelta(days=7)
MOST_EVENTS = 2_000
RULES = ThompsonRules()


def a_week(**changes):
    patient = policies(deadline=2 * WEEK, probe_interval=timedelta(seconds=15))
    return ab_test("b", "c", at_most=WEEK, policies=patient, **changes)


async def walked(stage, plan, look):
    """The history of a test that runs for its whole time."""
    stage.analysis.report = look
    handle = await stage.start(plan)
    assert (await handle.result()).phase is Phase.CONCLUDED
    history = await handle.fetch_history()
    first, last = history.events[0].event_time, history.events[-1].event_time
    assert last.ToDatetime() - first.ToDatetime() >= WEEK
    return events_of(history).total()


def seen(order, due=None):
    present = order.progress.arms_in(order.plan)
    passes = tuple(verdict(Status.PASS, variant=name) for name in present)
    return Seen(trial=trial(), verdicts=passes, due=due)


async def test_a_week_without_a_decision(stage):
    async def look(order):
        return_at(min(order.report_at, order.progress.acted.at + WEEK))
        return seen(order)

    assert await walked(stage, a_week(), look) < MOST_EVENTS


async def test_a_week_of_weights_that_wander_whenever_they_may(stage):
    moved: list[datetime] = []

    async def look(order):
        began = order.progress.acted.at
        if len(moved) == order.progress.division:
            moved.append(next_update(began, moved[-1] if moved else began))
        return_at(min(order.report_at, moved[-1], began + WEEK))
        if order.report_at < moved[-1]:
            return seen(order)
        b = 30 + len(moved) % 2
        return seen(order, {"stable": 100 - 2 * b, "b": b, "c": b})

    assert await walked(stage, a_week(allocation=RULES), look) < MOST_EVENTS
    assert stage.journal.kinds.count(EventKind.DIVIDED) >= 20


def next_update(began, since):
    """When weights that changed last at `since` may change again, at the soonest."""
    at = max(since, began + RULES.warm_up)
    while at - since < least_stand(at - began, RULES, has_shown_enough=True):
        at += timedelta(seconds=15)
    return at
