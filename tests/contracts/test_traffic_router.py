"""What every TrafficRouter does: those for Envoy AI Gateway and HTTPRoutes, and the fake."""

from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.aigateway.router import AIGatewayRouter
from adapters.gatewayapi.router import HTTPRouteRouter
from adapters.gateways.manifests import Gateway
from adapters.gateways.router import SplitRouter
from adapters.kubernetes.resources import AI_GATEWAY_ROUTE, HTTP_ROUTE, SERVICE
from domain.errors import Conflict, FencedOut, NotYet, Refused, Unreachable
from domain.traffic import NO_EXTRAS, Extras, HeaderMatch, HeaderRoute, MatchKind, Mirror
from domain.workloads import Protocol
from tests.cluster.builders import ORDERED_AT, owner, route_in, slots, workload_in
from tests.cluster.hands import GATEWAY
from tests.fakes.router import RecordingRouter

METHODS = ("connect", "disconnect", "observe", "write", "drift", "remove")
LATER = ORDERED_AT + timedelta(minutes=1)


class Real:
    resource = AI_GATEWAY_ROUTE
    protocol = Protocol.OPENAI
    kind: type[SplitRouter] = AIGatewayRouter

    def __init__(self, cluster, hands, namespace):
        self.router = self.kind(cluster, Gateway(name=GATEWAY, namespace="gateways"))
        self.route = route_in(namespace, protocol=self.protocol)
        self._hands = hands

    async def join(self, workload):
        await self._hands.serve(workload)
        with pytest.raises(NotYet):
            await self.router.connect(self.route, workload)
        await self._hands.accept_backend(workload)
        await self.router.connect(self.route, workload)

    async def leave(self, workload):
        pass

    async def obey(self):
        await self._hands.obey(self.route)

    def backend_of(self, workload):
        return workload

    async def tamper(self, changed, manager):
        refs = [{"name": self.backend_of(s.workload), "weight": s.weight} for s in changed]
        found = await self._hands.get(self.resource, self.route.namespace, self.route.name)
        first, *others = found["spec"]["rules"]
        ports = [{"port": ref["port"]} if "port" in ref else {} for ref in first["backendRefs"]]
        refs = [ref | port for ref, port in zip(refs, ports, strict=True)]
        change = {"spec": {"rules": [{**first, "backendRefs": refs}, *others]}}
        await self._hands.patch(
            self.resource, self.route.namespace, self.route.name, change, manager=manager
        )

    async def lose(self):
        await self._hands.delete(self.resource, self.route.namespace, self.route.name)

    async def outage(self, *, lasts):
        await self._hands.faults("error" if lasts else "none")

    async def version(self):
        found = await self._hands.get(self.resource, self.route.namespace, self.route.name)
        return found["metadata"]["resourceVersion"]


class Predictive(Real):
    """Plain HTTPRoutes: the gateway knows a workload by its Service."""

    resource = HTTP_ROUTE
    protocol = Protocol.V2
    kind = HTTPRouteRouter

    async def join(self, workload):
        with pytest.raises(NotYet):
            await self.router.connect(self.route, workload)
        await self._hands.serve(workload)
        await self.router.connect(self.route, workload)

    async def leave(self, workload):
        await self._hands.delete(SERVICE, workload.namespace, f"{workload.name}-predictor")

    async def obey(self):
        await self._hands.take_http_route(self.route)

    def backend_of(self, workload):
        return f"{workload}-predictor"


class Fake:
    def __init__(self, namespace):
        self.router = RecordingRouter()
        self.route = route_in(namespace)

    async def join(self, workload):
        await self.router.connect(self.route, workload)

    async def leave(self, workload):
        pass

    async def obey(self):
        pass

    async def tamper(self, changed, manager):
        self.router.tamper(self.route, changed, manager)

    async def lose(self):
        self.router.lose(self.route)

    async def outage(self, *, lasts):
        for method in METHODS:
            self.router.outage(method, Unreachable() if lasts else None)

    async def version(self):
        return len(self.router.writes)


@pytest.fixture(params=[Real, Predictive, Fake])
def stage(request, cluster, hands, namespace):
    if request.param is Fake:
        return Fake(namespace)
    return request.param(cluster, hands, namespace)


@pytest.fixture
async def joined(stage, namespace):
    """A stage whose gateway knows chat-v1 and chat-v2."""
    for name in ("chat-v1", "chat-v2"):
        await stage.join(workload_in(namespace, name))
    return stage


STABLE = slots(chat_v1=100, chat_v2=0)
SPLIT = slots(chat_v1=90, chat_v2=10)


async def standing(stage):
    state = await stage.router.observe(stage.route)
    return state.slots, state.owner


async def test_there_is_no_route_before_the_first_write(joined):
    assert await joined.router.observe(joined.route) is None


async def test_a_write_stands_and_is_obeyed_once_the_gateway_has_taken_it(joined):
    await joined.router.write(joined.route, STABLE, owner(1))
    await joined.obey()
    state = await joined.router.observe(joined.route)
    assert (state.slots, state.owner) == (STABLE, owner(1))
    assert (state.obeyed, state.obeyed_detail) == (True, "")


async def test_later_writes_of_a_run_follow_each_other(joined):
    await joined.router.write(joined.route, STABLE, owner(1))
    await joined.router.write(joined.route, SPLIT, owner(2))
    assert await standing(joined) == (SPLIT, owner(2))


async def test_a_repeated_write_changes_nothing(joined):
    await joined.router.write(joined.route, SPLIT, owner(1))
    before = await joined.version()
    await joined.router.write(joined.route, SPLIT, owner(1))
    assert await joined.version() == before


async def test_the_same_weights_written_again_by_the_same_run_change_nothing(joined):
    await joined.router.write(joined.route, SPLIT, owner(1))
    before = await joined.version()
    await joined.router.write(joined.route, SPLIT, owner(2))
    assert await joined.version() == before


async def test_a_new_run_takes_over_even_without_changing_a_weight(joined):
    await joined.router.write(joined.route, SPLIT, owner(5))
    await joined.router.write(joined.route, SPLIT, owner(1, run="run-2", started_at=LATER))
    with pytest.raises(FencedOut):
        await joined.router.write(joined.route, STABLE, owner(6))
    assert await standing(joined) == (SPLIT, owner(1, run="run-2", started_at=LATER))


@pytest.mark.parametrize("insist", [False, True])
@pytest.mark.parametrize(
    "older",
    [
        pytest.param(owner(4), id="an earlier write of the run"),
        pytest.param(
            owner(9, run="run-0", started_at=ORDERED_AT - timedelta(microseconds=1)),
            id="a run that began earlier",
        ),
        pytest.param(owner(5, run="run-1b"), id="a run that began at the same moment"),
    ],
)
async def test_an_older_write_is_fenced_out(joined, older, insist):
    await joined.router.write(joined.route, SPLIT, owner(5))
    with pytest.raises(FencedOut, match="run-1"):
        await joined.router.write(joined.route, STABLE, older, insist=insist)
    with pytest.raises(FencedOut):
        await joined.router.remove(joined.route, older)
    assert await standing(joined) == (SPLIT, owner(5))


async def test_a_change_by_another_manager_is_a_conflict_that_names_it(joined):
    await joined.router.write(joined.route, STABLE, owner(1))
    await joined.tamper(SPLIT, "argocd")
    with pytest.raises(Conflict, match="argocd"):
        await joined.router.write(joined.route, slots(chat_v1=50, chat_v2=50), owner(2))
    assert (await standing(joined))[0] == SPLIT


async def test_whoever_insists_takes_the_route_back(joined):
    await joined.router.write(joined.route, STABLE, owner(1))
    await joined.tamper(SPLIT, "argocd")
    await joined.router.write(joined.route, STABLE, owner(2), insist=True)
    assert await standing(joined) == (STABLE, owner(2))
    await joined.router.write(joined.route, SPLIT, owner(3))


async def test_the_same_write_repairs_what_was_changed_since(joined):
    await joined.router.write(joined.route, STABLE, owner(1))
    await joined.tamper(SPLIT, "argocd")
    await joined.router.write(joined.route, STABLE, owner(1), insist=True)
    assert await standing(joined) == (STABLE, owner(1))


async def test_drift_names_the_first_difference_and_who_made_it(joined):
    await joined.router.write(joined.route, STABLE, owner(1))
    assert await joined.router.drift(joined.route, STABLE) is None
    await joined.tamper(SPLIT, "kubectl-edit")
    drift = await joined.router.drift(joined.route, STABLE)
    assert str(drift) == (
        "backendRefs[0] is chat-v1 90 %, was written as chat-v1 100 %; changed by kubectl-edit"
    )
    assert not drift.is_ours


async def test_what_an_earlier_run_of_ours_wrote_is_drift_of_our_own(joined):
    await joined.router.write(joined.route, SPLIT, owner(1))
    drift = await joined.router.drift(joined.route, STABLE)
    assert drift.is_ours
    await joined.router.write(joined.route, STABLE, owner(2, run="run-2"))
    assert await joined.router.drift(joined.route, STABLE) is None


async def test_a_lost_route_is_drift_and_can_be_written_again(joined):
    await joined.router.write(joined.route, SPLIT, owner(3))
    await joined.lose()
    drift = await joined.router.drift(joined.route, SPLIT)
    assert (drift.field, drift.found) == ("route", "missing")
    await joined.router.write(joined.route, STABLE, owner(4))
    assert await standing(joined) == (STABLE, owner(4))


async def test_a_workload_that_the_gateway_does_not_know_cannot_join_a_route(stage, namespace):
    with pytest.raises(NotYet, match="does not know chat-v1"):
        await stage.router.write(stage.route, slots(chat_v1=100), owner(1))
    await stage.join(workload_in(namespace, "chat-v1"))
    await stage.router.write(stage.route, slots(chat_v1=100), owner(1))
    with pytest.raises(NotYet, match="does not know chat-v2"):
        await stage.router.write(stage.route, STABLE, owner(2))


async def test_a_workload_is_forgotten_only_once_no_slot_names_it(joined, namespace):
    candidate = workload_in(namespace, "chat-v2")
    await joined.router.write(joined.route, STABLE, owner(1))
    await joined.obey()
    with pytest.raises(NotYet, match="still names chat-v2"):
        await joined.router.disconnect(joined.route, candidate)
    await joined.router.write(joined.route, slots(chat_v1=100), owner(2))
    await joined.obey()
    await joined.router.disconnect(joined.route, candidate)
    await joined.leave(candidate)
    with pytest.raises(NotYet, match="does not know chat-v2"):
        await joined.router.write(joined.route, STABLE, owner(3))
    await joined.router.disconnect(joined.route, candidate)


async def test_a_removed_route_is_gone_and_removing_it_again_is_success(joined):
    await joined.router.write(joined.route, SPLIT, owner(1))
    await joined.router.remove(joined.route, owner(2))
    assert await joined.router.observe(joined.route) is None
    await joined.router.remove(joined.route, owner(2))


async def test_an_outage_is_unreachable_and_passes(joined, namespace):
    router, route, workload = joined.router, joined.route, workload_in(namespace)
    await joined.outage(lasts=True)
    try:
        for call in (
            router.connect(route, workload),
            router.disconnect(route, workload),
            router.observe(route),
            router.write(route, STABLE, owner(1)),
            router.drift(route, STABLE),
            router.remove(route, owner(1)),
        ):
            with pytest.raises(Unreachable):
                await call
    finally:
        await joined.outage(lasts=False)
    await router.write(route, STABLE, owner(1))


TESTERS = HeaderRoute(
    name="preview",
    headers=(
        HeaderMatch(name="x-tester", value="green"),
        HeaderMatch(name="x-user", value=".*[0-3]", kind=MatchKind.PATTERN),
    ),
    workload="chat-v2",
)
PREVIEW = Extras(header_routes=(TESTERS,))
MIRRORED = Extras(mirrors=(Mirror(workload="chat-v2", percent=20),))


async def test_a_header_route_stands_beside_the_split(joined):
    await joined.router.write(joined.route, STABLE, owner(1), extras=PREVIEW)
    await joined.obey()
    state = await joined.router.observe(joined.route)
    assert (state.slots, state.extras, state.obeyed_detail) == (STABLE, PREVIEW, "")
    assert await joined.router.drift(joined.route, STABLE, PREVIEW) is None


async def test_a_repeated_write_with_extras_changes_nothing(joined):
    await joined.router.write(joined.route, STABLE, owner(1), extras=PREVIEW)
    before = await joined.version()
    await joined.router.write(joined.route, STABLE, owner(2), extras=PREVIEW)
    assert await joined.version() == before


async def test_extras_that_are_left_out_go(joined):
    await joined.router.write(joined.route, STABLE, owner(1), extras=PREVIEW)
    await joined.router.write(joined.route, STABLE, owner(2))
    assert (await joined.router.observe(joined.route)).extras == NO_EXTRAS


async def test_an_extra_that_is_not_as_written_is_drift(joined):
    await joined.router.write(joined.route, STABLE, owner(1), extras=PREVIEW)
    assert await joined.router.drift(joined.route, STABLE) is not None
    other = replace(TESTERS, headers=TESTERS.headers[:1])
    drift = await joined.router.drift(joined.route, STABLE, Extras(header_routes=(other,)))
    assert drift.field == "header routes"
    assert drift.expected == "x-tester: green to chat-v2"


async def test_whom_a_header_route_names_is_known_and_stays_known(stage, namespace):
    await stage.join(workload_in(namespace, "chat-v1"))
    with pytest.raises(NotYet, match="does not know chat-v2"):
        await stage.router.write(stage.route, slots(chat_v1=100), owner(1), extras=PREVIEW)
    candidate = workload_in(namespace, "chat-v2")
    await stage.join(candidate)
    await stage.router.write(stage.route, slots(chat_v1=100), owner(1), extras=PREVIEW)
    with pytest.raises(NotYet, match="still names chat-v2"):
        await stage.router.disconnect(stage.route, candidate)


async def test_a_mirror_stands_where_the_router_has_one(joined):
    if isinstance(joined.router, AIGatewayRouter):
        with pytest.raises(Refused, match="cannot mirror"):
            await joined.router.write(joined.route, STABLE, owner(1), extras=MIRRORED)
        return
    await joined.router.write(joined.route, STABLE, owner(1), extras=MIRRORED)
    await joined.obey()
    state = await joined.router.observe(joined.route)
    assert (state.slots, state.extras, state.obeyed_detail) == (STABLE, MIRRORED, "")
    half = Extras(mirrors=(Mirror(workload="chat-v2", percent=50),))
    drift = await joined.router.drift(joined.route, STABLE, half)
    assert (drift.field, drift.found) == ("mirrors", "20 % copied to chat-v2")


async def test_a_way_home_does_not_wait_for_a_workload_that_is_gone(joined, namespace):
    candidate = workload_in(namespace, "chat-v2")
    await joined.router.write(joined.route, SPLIT, owner(1), extras=PREVIEW)
    await joined.leave(candidate)
    assert await joined.router.drift(joined.route, SPLIT, PREVIEW) is None
    await joined.router.write(joined.route, STABLE, owner(2), insist=True)
    assert await standing(joined) == (STABLE, owner(2))
    await joined.router.write(joined.route, slots(chat_v1=100), owner(3))
    assert await standing(joined) == (slots(chat_v1=100), owner(3))


async def test_whom_a_mirror_names_is_known_and_stays_known(stage, namespace):
    if isinstance(stage.router, AIGatewayRouter):
        return  # it has no mirrors: see above
    await stage.join(workload_in(namespace, "chat-v1"))
    with pytest.raises(NotYet, match="does not know chat-v2"):
        await stage.router.write(stage.route, slots(chat_v1=100), owner(1), extras=MIRRORED)
    candidate = workload_in(namespace, "chat-v2")
    await stage.join(candidate)
    await stage.router.write(stage.route, slots(chat_v1=100), owner(1), extras=MIRRORED)
    with pytest.raises(NotYet, match="still names chat-v2"):
        await stage.router.disconnect(stage.route, candidate)
    await stage.router.write(stage.route, slots(chat_v1=100), owner(2))
    await stage.router.disconnect(stage.route, candidate)
