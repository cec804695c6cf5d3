"""What is written beside the split, and when a route counts as standing as it was written."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.traffic import SettleOrder, ShiftOrder, TrafficActivities
from domain.errors import Forbidden, Refused, Unreachable
from domain.evidence.counters import Reading
from domain.gates import Source
from domain.progress import ActState
from domain.traffic import NO_EXTRAS, Extras, HeaderMatch, HeaderRoute, Mirror
from tests.cluster.builders import owner, route_in, slots, workload_in
from tests.fakes.counters import ScriptedCounters
from tests.fakes.router import RecordingRouter
from tests.fakes.runtime import ScriptedRuntime

NAMESPACE = "team"
ROUTE = route_in(NAMESPACE)
V1, V2 = workload_in(NAMESPACE, "chat-v1"), workload_in(NAMESPACE, "chat-v2")
BOTH, ALONE = slots(chat_v1=100, chat_v2=0), slots(chat_v1=100)


def to(workload):
    """A header route and a mirror."""
    headers = (HeaderMatch(name="x-tester", value="yes"),)
    return Extras(
        header_routes=(HeaderRoute(name=f"to-{workload}", headers=headers, workload=workload),),
        mirrors=(Mirror(workload=workload, percent=10),),
    )


@pytest.fixture
async def router():
    made = RecordingRouter()
    for workload in (V1, V2):
        await made.connect(ROUTE, workload)
    return made


def activities(router):
    counters = ScriptedCounters(lambda _: Reading(candidate=(), stable=()))
    return TrafficActivities(router, ScriptedRuntime(), counters)


async def shift(router, number, **order):
    made = ShiftOrder(route=ROUTE, owner=owner(number), bearing=(), **order)
    return await ActivityEnvironment().run(activities(router).shift, made)


async def settle(router, extras):
    """At once: what is not as it was written by now is not waited for."""
    order = SettleOrder(
        route=ROUTE,
        slots=BOTH,
        source=Source.ENVOY,
        candidate_slot=1,
        stable_slot=0,
        weight=0,
        previous=0,
        probe_interval=timedelta(seconds=1),
        deadline=datetime.now(UTC),
        extras=extras,
    )
    return await ActivityEnvironment().run(activities(router).settle, order)


async def extras_of(router):
    return (await router.observe(ROUTE)).extras


async def test_a_shift_writes_what_stands_beside_the_split_and_the_next_takes_it_away(router):
    await shift(router, 1, slots=BOTH, extras=to("chat-v2"))
    assert await extras_of(router) == to("chat-v2")
    await shift(router, 2, slots=BOTH)
    assert await extras_of(router) == NO_EXTRAS


async def test_what_leads_to_an_absent_workload_is_left_out_with_it(router):
    await shift(router, 1, slots=ALONE)
    extras = Extras(
        header_routes=to("chat-v1").header_routes + to("chat-v2").header_routes,
        mirrors=to("chat-v2").mirrors,
    )
    written = await shift(
        router, 2, slots=BOTH, if_absent="chat-v2", slots_without=ALONE, extras=extras
    )
    assert written == ALONE
    assert await extras_of(router) == Extras(header_routes=to("chat-v1").header_routes)


async def test_what_leads_to_a_workload_that_is_there_stays(router):
    await shift(router, 1, slots=BOTH)
    written = await shift(
        router, 2, slots=BOTH, if_absent="chat-v2", slots_without=ALONE, extras=to("chat-v2")
    )
    assert written == BOTH
    assert await extras_of(router) == to("chat-v2")


async def test_the_route_obeys_only_with_all_that_stands_beside_the_split(router):
    await shift(router, 1, slots=BOTH, extras=to("chat-v2"))
    obeyed = await settle(router, to("chat-v2"))
    assert (obeyed.state, obeyed.detail) == (
        ActState.SILENT,
        "no request has come by since the mirror was set to 10 %",
    )
    for other in (NO_EXTRAS, to("chat-v1"), Extras(mirrors=to("chat-v2").mirrors)):
        acted = await settle(router, other)
        assert (acted.state, acted.detail) == (
            ActState.DISOBEYED,
            "the route does not stand as it was written",
        )


@pytest.mark.parametrize("error", [Unreachable("500"), Forbidden("403"), Refused("a proxy's 418")])
async def test_a_cluster_that_does_not_show_the_route_is_waited_for(router, error):
    router.outage("observe", error)
    found = await settle(router, NO_EXTRAS)
    assert (found.state, found.detail) == (ActState.DISOBEYED, str(error))
