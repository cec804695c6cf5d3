"""The watch on shares: when the requests show the weights, and when the gateway's word is enough."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from activities.shares import QUIET_LOOKS, SharesOrder, ShareWatch
from domain.errors import Forbidden, Refused, Unreachable
from domain.evidence.counters import Reading, Series, SeriesRole
from domain.gates import Source
from domain.progress import ActState
from domain.settling import MARKS
from domain.traffic import Slot
from tests.plans import route

SOON = timedelta(minutes=1)
ENOUGH = MARKS + QUIET_LOOKS + 2


class Traffic:
    """The counters of a route: before each look, requests go to the slots in these shares."""

    def __init__(self, *shares, requests=1000):
        self.shares, self.requests = shares, requests
        self.started = [0.0 for _ in shares]
        self.trouble = None
        self.asked = []
        self._at = 1_000.0

    def pass_by(self):
        self._at += 1
        for slot, share in enumerate(self.shares):
            self.started[slot] += round(self.requests * share / 100)

    def series(self, slot):
        samples = ((self._at, self.started[slot.position]),)
        return (Series(key=f"started/{slot}", role=SeriesRole.STARTED, samples=samples),)

    async def read(self, route, source, *, candidate, stable, window):
        if self.trouble:
            raise self.trouble
        self.asked.append((candidate, stable, window))
        return Reading(
            candidate=self.series(candidate),
            stable=self.series(stable),
        )


def slots(*weights):
    return tuple(Slot(workload=f"chat-v{i}", weight=weight) for i, weight in enumerate(weights))


def watch(traffic, before, after):
    now = datetime.now(UTC)
    order = SharesOrder(
        route=route(),
        slots=slots(*after),
        before=slots(*before),
        source=Source.ENVOY,
        probe_interval=timedelta(seconds=1),
        see_until=now + SOON,
        deadline=now + SOON * 2,
    )
    return ShareWatch(order, traffic)


async def looked(watching, traffic, looks=ENOUGH):
    """What has come of so many looks."""
    for _ in range(looks):
        traffic.pass_by()
        if (found := await watching.look()) is not None:
            return found
    return None


def over(watching, *, at_all=False):
    """Have the time to see be over, or all of it."""
    now = datetime.now(UTC)
    deadline = now if at_all else watching._order.deadline
    watching._order = replace(watching._order, see_until=now, deadline=deadline)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((100, 0), (90, 10)),
        ((90, 10), (50, 50)),
        ((90, 10), (100, 0)),
        ((100, 0), (0, 100)),
        ((100, 0, 0), (60, 30, 10)),
        ((60, 30, 10), (100, 0, 0)),
        ((90, 0, 10), (80, 0, 20)),
    ],
)
async def test_it_is_done_once_the_requests_divide_as_the_weights_say(before, after):
    traffic = Traffic(*after)
    found = await looked(watch(traffic, before, after), traffic)
    assert found is not None
    assert found.state is ActState.DONE
    assert "by weight" in found.detail
    assert all(window >= timedelta(seconds=10) for *_, window in traffic.asked)


async def test_it_looks_on_while_the_requests_go_where_they_went():
    traffic = Traffic(100, 0)
    assert await looked(watch(traffic, (100, 0), (90, 10)), traffic, looks=20) is None


async def test_requests_that_still_go_where_they_went_at_the_deadline_are_disobedience():
    traffic = Traffic(100, 0)
    watching = watch(traffic, (100, 0), (90, 10))
    assert await looked(watching, traffic) is None
    over(watching, at_all=True)
    found = await looked(watching, traffic, looks=1)
    assert found is not None
    assert found.state is ActState.DISOBEYED
    assert "0.0 % went to chat-v1, 10 % by weight" in found.detail


async def test_the_gateways_word_does_not_stand_against_what_was_seen_twice():
    """Requests disobey, then become too few to tell, or stay away."""
    for requests in (3, 0):
        traffic = Traffic(100, 0)
        watching = watch(traffic, (100, 0), (90, 10))
        assert await looked(watching, traffic) is None
        traffic.requests = requests
        over(watching)
        assert await looked(watching, traffic) is None
        over(watching, at_all=True)
        found = await looked(watching, traffic, looks=1)
        assert found is not None
        assert found.state is ActState.DISOBEYED


async def test_one_disagreement_may_rest_on_older_requests():
    traffic = Traffic(100, 0)
    watching = watch(traffic, (100, 0), (90, 10))
    assert await looked(watching, traffic, looks=MARKS + 1) is None
    traffic.requests = 0
    assert await looked(watching, traffic, looks=QUIET_LOOKS) is None
    found = await looked(watching, traffic, looks=1)
    assert found is not None
    assert found.state is ActState.DONE


async def test_a_disagreement_is_waited_out_until_the_deadline():
    traffic = Traffic(100, 0)
    watching = watch(traffic, (100, 0), (90, 10))
    assert await looked(watching, traffic) is None
    traffic.shares = (90, 10)
    found = await looked(watching, traffic)
    assert found is not None
    assert found.state is ActState.DONE


async def test_one_pair_that_disagrees_holds_up_the_others():
    traffic = Traffic(60, 40, 0)
    assert await looked(watch(traffic, (100, 0, 0), (60, 30, 10)), traffic, looks=12) is None


async def test_a_route_without_requests_takes_the_gateways_word():
    traffic = Traffic(100, 0, requests=0)
    found = await looked(watch(traffic, (100, 0), (90, 10)), traffic)
    assert found is not None
    assert (found.state, found.detail) == (
        ActState.DONE,
        "no request came by; the gateway confirms the route",
    )


async def test_a_stale_store_says_nothing_about_silence():
    """The same samples again and again are no looks."""
    traffic = Traffic(100, 0, requests=0)
    traffic.pass_by()
    watching = watch(traffic, (100, 0), (90, 10))
    for _ in range(ENOUGH):
        assert await watching.look() is None


async def test_few_requests_are_waited_for_until_the_time_to_see_is_over():
    few = Traffic(90, 10, requests=5)
    watching = watch(few, (100, 0), (90, 10))
    assert await looked(watching, few, looks=5) is None
    over(watching)
    found = await looked(watching, few, looks=1)
    assert found is not None
    assert found.state is ActState.DONE
    assert found.detail.startswith("the gateway confirms the route; ")


@pytest.mark.parametrize(
    "trouble", [Unreachable("the store is away"), Refused("no such query"), Forbidden("no access")]
)
async def test_a_store_that_is_away_is_waited_for_and_then_done_without(trouble):
    traffic = Traffic(90, 10)
    traffic.trouble = trouble
    watching = watch(traffic, (100, 0), (90, 10))
    assert await looked(watching, traffic) is None
    over(watching)
    found = await looked(watching, traffic, looks=1)
    assert found is not None
    assert found.state is ActState.DONE
    assert str(trouble) in found.detail


async def test_a_store_that_goes_away_says_nothing_about_silence():
    traffic = Traffic(100, 0, requests=0)
    watching = watch(traffic, (100, 0), (90, 10))
    assert await looked(watching, traffic, looks=QUIET_LOOKS) is None
    traffic.trouble = Unreachable()
    assert await looked(watching, traffic) is None


async def test_a_store_that_comes_back_is_believed():
    traffic = Traffic(90, 10)
    watching = watch(traffic, (100, 0), (90, 10))
    traffic.trouble = Unreachable()
    assert await looked(watching, traffic) is None
    traffic.trouble = None
    found = await looked(watching, traffic)
    assert found is not None
    assert "10.0 % went to chat-v1" in found.detail


async def test_where_nothing_is_divided_there_is_nothing_to_see():
    traffic = Traffic(100, 0)
    for after in ((100,), (100, 0)):
        found = await watch(traffic, (100,), after).look()
        assert found is not None
        assert (found.state, found.detail) == (ActState.DONE, "the gateway confirms the route")
    assert traffic.asked == []


async def test_who_has_left_the_route_is_seen_to_get_nothing():
    traffic = Traffic(100, 0)
    found = await looked(watch(traffic, (70, 30), (100,)), traffic)
    assert found is not None
    assert "0.0 % went to what has left" in found.detail
