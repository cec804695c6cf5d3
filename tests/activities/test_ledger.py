"""The books of a watch while the registry is away: what has failed stays failed."""

import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from activities.ledger import Ledger
from domain.errors import Unreachable
from domain.evidence.counters import Reading, Series, SeriesRole
from domain.progress import Acted, ActState, Progress, Seen
from domain.steps import Reaction
from domain.verdicts import Status
from tests.fakes.counters import ScriptedCounters
from tests.fakes.evidence import MemoryEvidence
from tests.fakes.history import ToldHistory
from tests.plans import canary_spec, plan, policies

BAD_LOOK, AWAY_AFTER, BACK_AFTER, LOOKS = 21, 20, 130, 140
SOAK = 2


class Registry(MemoryEvidence):
    is_away = False

    async def load(self, rollout_id):
        self._require()
        return await super().load(rollout_id)

    async def append(self, rollout_id, **what):
        self._require()
        await super().append(rollout_id, **what)

    def _require(self):
        if self.is_away:
            raise Unreachable("no database")


def one_bad_moment(look):
    """Of the candidate, in which stable is well; over the whole outage both look alike."""
    begun = time.time() - 2000

    def series(role, count):
        looks = range(max(0, look - 3), look + 1)
        samples = tuple((begun + 5.0 * k, float(count(k))) for k in looks)
        return Series(key=f"{role}", role=role, samples=samples)

    return Reading(
        candidate=(
            series(SeriesRole.REQUESTS, lambda k: 100 * k),
            series(SeriesRole.ERRORS, lambda k: 12 if k >= BAD_LOOK else 0),
        ),
        stable=(
            series(SeriesRole.REQUESTS, lambda k: 900 * k),
            series(SeriesRole.ERRORS, lambda k: 4 * max(0, k // 10 - 2)),
        ),
    )


@pytest.fixture
def progress():
    now = datetime.now(UTC)
    return Progress(step=SOAK, started_at=now, acted=Acted(state=ActState.DONE, at=now))


def ledger(registry):
    terms = policies(on_failure=Reaction.HOLD, warm_up=timedelta(0), overdispersion=1.0)
    followed = plan(canary_spec(10, 50, policies=terms))
    return Ledger(followed, ScriptedCounters(one_bad_moment), registry, ToldHistory())


async def test_a_fail_while_the_registry_is_away_is_not_withdrawn_when_it_is_back(progress):
    registry, rollout_id = Registry(), uuid4()
    books = ledger(registry)
    for look in range(LOOKS):
        registry.is_away = AWAY_AFTER < look <= BACK_AFTER
        await books.read(rollout_id, progress)
        (verdict,) = books.verdicts(progress)
        assert (verdict.status is Status.FAIL) == (look >= BAD_LOOK), look


async def test_a_fail_that_was_told_stands_for_whoever_watches_next(progress):
    registry, rollout_id = Registry(), uuid4()
    books = ledger(registry)
    for look in range(BAD_LOOK + 1):
        registry.is_away = look > AWAY_AFTER
        await books.read(rollout_id, progress)
    (failed,) = books.verdicts(progress)
    registry.is_away = False
    told = Progress(
        step=SOAK,
        started_at=progress.started_at,
        acted=progress.acted,
        seen=Seen(verdicts=(failed,)),
    )
    next_books = ledger(registry)
    await next_books.open(rollout_id)
    assert failed.status is Status.FAIL
    assert next_books.verdicts(told) == (failed,)
