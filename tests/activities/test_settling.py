"""Settling: the requests themselves show the weight, the copies, and that copies have ended."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.settling import View
from activities.traffic import SettleOrder, TrafficActivities
from domain.errors import Unreachable
from domain.evidence.counters import Reading, Series, SeriesRole
from domain.gates import Source
from domain.progress import ActState
from domain.settling import MARKS, Agreement, Comparison
from domain.traffic import NO_EXTRAS, Extras, HeaderMatch, HeaderRoute, Mirror, Place, PlaceKind
from tests.cluster.builders import owner, route_in, slots, workload_in
from tests.fakes.counters import ScriptedCounters
from tests.fakes.router import RecordingRouter
from tests.fakes.runtime import ScriptedRuntime

ROUTE = route_in("team")
STABLE, CANDIDATE = Place(position=0), Place(position=1)
COPIES = Place(kind=PlaceKind.MIRROR, position=0)
HEADERS = (HeaderMatch(name="x-tester", value="yes"),)
PREVIEW = Extras(header_routes=(HeaderRoute(name="p", headers=HEADERS, workload="chat-v2"),))
INSTANT, SOON, LATE = (timedelta(seconds=s) for s in (0.001, 0.3, 30))


class Passing(ScriptedCounters):
    """Counters of a route: between two readings so many requests are started at each place."""

    def __init__(self, **per_place):
        super().__init__(lambda n: Reading(candidate=(), stable=()))
        names = {"stable": STABLE, "candidate": CANDIDATE, "copies": COPIES}
        self.rates = {names[name]: rate for name, rate in per_place.items()}
        self.started = dict.fromkeys(self.rates, 0)
        self.asked = []
        self.trouble = None
        self._at = 1_000.0

    async def read(self, route, source, *, candidate, stable, window):
        self.asked.append((candidate, stable))
        if self.trouble:
            raise self.trouble
        self._at += 1
        for place, rate in self.rates.items():
            self.started[place] += rate
        return Reading(candidate=self._series(candidate), stable=self._series(stable))

    def _series(self, place):
        if place not in self.started:
            return ()
        samples = ((self._at, float(self.started[place])),)
        return (Series(key=str(place), role=SeriesRole.STARTED, samples=samples),)


def mirror(percent):
    return Extras(mirrors=(Mirror(workload="chat-v2", percent=percent),)) if percent else NO_EXTRAS


async def settle(
    counters, *, within=LATE, weight=0, previous=0, mirrored_before=0, extras=NO_EXTRAS
):
    router, written = RecordingRouter(), slots(chat_v1=100 - weight, chat_v2=weight)
    for name in ("chat-v1", "chat-v2"):
        await router.connect(ROUTE, workload_in("team", name))
    await router.write(ROUTE, written, owner(1), extras=extras)
    order = SettleOrder(
        route=ROUTE,
        slots=written,
        source=Source.ENVOY,
        candidate_slot=1,
        stable_slot=0,
        weight=weight,
        previous=previous,
        probe_interval=INSTANT,
        deadline=datetime.now(UTC) + within,
        extras=extras,
        mirrored_before=mirrored_before,
    )
    activities = TrafficActivities(router, ScriptedRuntime(), counters)
    return await ActivityEnvironment().run(activities.settle, order)


@pytest.mark.parametrize("percent", [1, 10, 50, 100])
async def test_a_mirror_is_settled_once_so_many_copies_are_seen(percent):
    acted = await settle(Passing(stable=1000, copies=10 * percent), extras=mirror(percent))
    assert acted.state is ActState.DONE
    assert f"{10 * percent:,} copies of 1,000 requests observed" in acted.detail
    assert f"{percent} % written" in acted.detail


@pytest.mark.parametrize("weight", [25, 50, 75])
async def test_copies_are_of_all_requests_whoever_answers_them(weight):
    """Beside the slot that has more of them, whichever that is."""
    counters = Passing(stable=10 * (100 - weight), candidate=10 * weight, copies=400)
    acted = await settle(counters, weight=weight, previous=weight, extras=mirror(40))
    assert acted.state is ActState.DONE
    assert "800 copies of 2,000 requests observed, 40 % written" in acted.detail
    assert f"{weight}.0 % of 2,000 requests observed at the candidate" in acted.detail
    assert set(counters.asked) == {
        (CANDIDATE, STABLE),
        (COPIES, CANDIDATE if weight > 50 else STABLE),
    }


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ({"stable": 1000}, "0 copies of 1,000 requests observed, 50 % written"),
        ({"stable": 1000, "copies": 100}, "100 copies of 1,000 requests observed, 50 % written"),
        ({"stable": 1000, "copies": 1000}, "1,000 copies of 1,000 requests observed, 50 % written"),
    ],
    ids=["none", "too few of them", "too many of them"],
)
async def test_copies_that_are_not_as_written_are_disobedience(rates, said):
    acted = await settle(Passing(**rates), within=SOON, extras=mirror(50))
    assert (acted.state, acted.detail) == (ActState.DISOBEYED, said)


async def test_copies_as_they_were_before_are_disobedience():
    rates = {"stable": 1000, "copies": 500}
    acted = await settle(Passing(**rates), within=SOON, extras=mirror(60), mirrored_before=50)
    assert acted.state is ActState.DISOBEYED
    same = await settle(Passing(**rates), extras=mirror(50), mirrored_before=50)
    assert same.state is ActState.DONE


@pytest.mark.parametrize("rates", [{"stable": 0, "copies": 0}, {}], ids=["quiet", "unheard of"])
async def test_a_mirror_without_requests_is_not_settled(rates):
    acted = await settle(Passing(**rates), within=SOON, extras=mirror(100))
    assert (acted.state, acted.detail) == (
        ActState.SILENT,
        "no request has come by since the mirror was set to 100 %",
    )


async def test_too_few_requests_show_no_mirror():
    acted = await settle(Passing(stable=1), within=MARKS * INSTANT, extras=mirror(1))
    assert acted.state is ActState.SILENT


async def test_a_mirror_that_ended_is_seen_to_have_ended():
    acted = await settle(Passing(stable=1000, copies=0), mirrored_before=100)
    assert acted.state is ActState.DONE
    assert acted.detail == "0 copies of 1,000 requests observed, 0 % written"
    left = await settle(Passing(stable=1000, copies=3), within=SOON, mirrored_before=100)
    assert left.state is ActState.DISOBEYED
    assert "3 copies of 1,000 requests observed, 0 % written" in left.detail


async def test_a_mirror_that_ended_on_a_quiet_route_takes_the_gateways_word():
    acted = await settle(Passing(stable=0, copies=0), mirrored_before=100)
    assert (acted.state, acted.detail) == (
        ActState.DONE,
        "no request came by; the gateway confirms the route",
    )


async def test_the_first_weight_is_settled_when_the_copies_before_it_have_ended_too():
    rates = {"stable": 900, "candidate": 100}
    change = {"weight": 10, "mirrored_before": 50}
    assert (await settle(Passing(**rates, copies=0), **change)).state is ActState.DONE
    still = await settle(Passing(**rates, copies=500), within=SOON, **change)
    assert still.state is ActState.DISOBEYED
    split = await settle(Passing(stable=1000, candidate=0, copies=0), within=SOON, **change)
    assert split.state is ActState.DISOBEYED


@pytest.mark.parametrize("extras", [PREVIEW, NO_EXTRAS], ids=["a preview", "nothing"])
async def test_who_sees_a_preview_is_the_testers_own_choice(extras):
    counters = Passing(stable=1000)
    acted = await settle(counters, extras=extras)
    assert (acted.state, acted.detail) == (ActState.DONE, "the gateway knows the candidate")
    assert counters.asked == []


async def test_a_store_that_goes_away_says_nothing_about_silence():
    counters = Passing(stable=0, copies=0)
    view = View(
        Comparison(place=COPIES, reference=STABLE, due=0, beside=100, weight=0, previous=50)
    )
    order = SettleOrder(
        route=ROUTE,
        slots=(),
        source=Source.ENVOY,
        candidate_slot=1,
        stable_slot=0,
        weight=0,
        previous=0,
        probe_interval=timedelta(seconds=1),
        deadline=datetime.now(UTC),
    )
    for _ in range(MARKS):
        assert await view.look(order, counters) is Agreement.SILENT
        assert view.has_news
    counters.trouble = Unreachable("the store is away")
    await view.look(order, counters)
    assert (view.has_news, view.said) == (False, "the store is away")
