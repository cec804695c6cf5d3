"""What every VirtualModelRouter does: the one for Envoy AI Gateway, and the fake that stands in."""

from datetime import timedelta

import pytest

from adapters.aigateway.virtual_models import AIGatewayVirtualModels
from adapters.gateways.manifests import Gateway
from adapters.kubernetes.resources import AI_GATEWAY_ROUTE, HTTP_ROUTE
from domain.errors import Conflict, FencedOut, InvalidTraffic, NotYet, Unreachable
from tests.cluster import virtual
from tests.cluster.builders import ORDERED_AT, owner
from tests.cluster.hands import GATEWAY
from tests.cluster.virtual import layout, ref_in, virtual_route_in
from tests.fakes.virtual_router import RecordingVirtualRouter

METHODS = ("require_known", "observe", "write", "remove")
LATER = ORDERED_AT + timedelta(minutes=1)


class Real:
    def __init__(self, cluster, hands, namespace):
        gateway = Gateway(name=GATEWAY, namespace="gateways")
        self.router = AIGatewayVirtualModels(cluster, gateway)
        self.route = virtual_route_in(namespace)
        self._hands = hands

    async def know(self, *names):
        for name in names:
            await virtual.add_backend(self._hands, self.route.namespace, name)

    async def write(self, wanted, by, **how):
        """Write until it stands, with a gateway that takes each policy at once."""
        try:
            await self.router.write(self.route, wanted, by, **how)
        except NotYet:
            await virtual.take_policy(self._hands, self.route)
            await self.router.write(self.route, wanted, by, **how)

    async def obey(self):
        await virtual.obey(self._hands, self.route)

    async def remove(self, by):
        """Remove it, with a controller that takes the HTTPRoute away."""
        try:
            await self.router.remove(self.route, by)
        except NotYet:
            await self._hands.delete(HTTP_ROUTE, self.route.namespace, self.route.name)
            await self.router.remove(self.route, by)

    async def tamper(self, refs, manager):
        found = await self._hands.get(AI_GATEWAY_ROUTE, self.route.namespace, self.route.name)
        listed = [{"name": one.name, "weight": one.weight} for one in refs]
        rule = {**found["spec"]["rules"][0], "backendRefs": listed}
        change = {"spec": {"rules": [rule]}}
        place = (AI_GATEWAY_ROUTE, self.route.namespace, self.route.name)
        await self._hands.patch(*place, change, manager=manager)

    async def outage(self, *, lasts):
        await self._hands.faults("error" if lasts else "none")

    async def version(self):
        found = await self._hands.get(AI_GATEWAY_ROUTE, self.route.namespace, self.route.name)
        return found["metadata"]["resourceVersion"]


class Fake:
    def __init__(self, namespace):
        self.router = RecordingVirtualRouter()
        self.route = virtual_route_in(namespace)

    async def know(self, *names):
        self.router.known.update((self.route.namespace, name) for name in names)

    async def write(self, wanted, by, **how):
        await self.router.write(self.route, wanted, by, **how)

    async def obey(self):
        pass

    async def remove(self, by):
        await self.router.remove(self.route, by)

    async def tamper(self, refs, manager):
        self.router.tamper(self.route, refs, manager)

    async def outage(self, *, lasts):
        for method in METHODS:
            self.router.outage(method, Unreachable() if lasts else None)

    async def version(self):
        return len(self.router.writes)


@pytest.fixture(params=["real", "fake"])
async def stage(request, cluster, hands, namespace):
    made = Real(cluster, hands, namespace) if request.param == "real" else Fake(namespace)
    await made.know("aws", "gcp")
    return made


@pytest.fixture
def split(namespace):
    return layout(ref_in(namespace, "aws", "a@1", weight=50), ref_in(namespace, "gcp", weight=50))


@pytest.fixture
def fallback(namespace):
    return layout(
        ref_in(namespace, "aws", "large", weight=100),
        ref_in(namespace, "aws", "small", priority=1),
        levels=2,
    )


async def standing(stage):
    return (await stage.router.observe(stage.route)).layout


async def test_there_is_no_route_before_the_first_write(stage):
    assert await stage.router.observe(stage.route) is None


async def test_a_write_stands_and_is_obeyed_once_the_gateway_has_taken_it(stage, split):
    await stage.write(split, owner(1))
    await stage.obey()
    state = await stage.router.observe(stage.route)
    assert (state.layout, state.model) == (split, "claude-4-sonnet")
    assert (state.obeyed, state.obeyed_detail) == (True, "")


async def test_a_route_changes_between_split_and_fallback(stage, split, fallback):
    for number, wanted in enumerate((split, fallback, split), start=1):
        await stage.write(wanted, owner(number))
        await stage.obey()
        assert await standing(stage) == wanted


async def test_an_override_that_is_taken_away_is_gone(stage, split, namespace):
    bare = layout(ref_in(namespace, "aws", weight=50), split.refs[1])
    await stage.write(split, owner(1))
    await stage.obey()
    await stage.write(bare, owner(2))
    assert await standing(stage) == bare


async def test_the_same_layout_written_again_by_the_same_run_changes_nothing(stage, split):
    await stage.write(split, owner(1))
    before = await stage.version()
    await stage.write(split, owner(1))
    await stage.write(split, owner(2))
    assert await stage.version() == before


async def test_a_new_run_takes_over_even_without_a_change(stage, split, fallback):
    await stage.write(split, owner(5))
    await stage.obey()
    await stage.write(split, owner(1, run="run-2", started_at=LATER))
    with pytest.raises(FencedOut):
        await stage.router.write(stage.route, fallback, owner(6))
    assert await standing(stage) == split


@pytest.mark.parametrize("insist", [False, True])
async def test_an_older_write_is_fenced_out(stage, split, fallback, insist):
    await stage.write(split, owner(5))
    with pytest.raises(FencedOut):
        await stage.router.write(stage.route, fallback, owner(4), insist=insist)
    with pytest.raises(FencedOut):
        await stage.router.remove(stage.route, owner(4))
    assert await standing(stage) == split


async def test_a_change_by_another_manager_is_a_conflict_that_names_it(stage, split, namespace):
    await stage.write(split, owner(1))
    await stage.obey()
    await stage.tamper([ref_in(namespace, "gcp")], "argocd")
    with pytest.raises(Conflict, match="argocd"):
        await stage.write(layout(ref_in(namespace, "aws")), owner(2))


async def test_whoever_insists_takes_the_route_back(stage, split, namespace):
    await stage.write(split, owner(1))
    await stage.obey()
    await stage.tamper([ref_in(namespace, "gcp")], "argocd")
    await stage.write(split, owner(2), insist=True)
    assert await standing(stage) == split


async def test_a_backend_that_the_gateway_does_not_know_is_named(stage, namespace):
    await stage.router.require_known(stage.route, [ref_in(namespace, "aws")])
    with pytest.raises(InvalidTraffic, match="no AIServiceBackend 'azure'") as error:
        await stage.router.require_known(stage.route, [ref_in(namespace, "azure")])
    assert [one.field for one in error.value.violations] == ["ai_service_backend_name"]


async def test_a_removed_route_is_gone_and_removing_it_again_is_success(stage, fallback):
    await stage.write(fallback, owner(1))
    await stage.obey()
    await stage.remove(owner(2))
    assert await stage.router.observe(stage.route) is None
    await stage.router.remove(stage.route, owner(2))


async def test_an_outage_is_unreachable_and_passes(stage, split):
    router, route = stage.router, stage.route
    await stage.outage(lasts=True)
    try:
        for call in (
            router.require_known(route, split.refs),
            router.observe(route),
            router.write(route, split, owner(1)),
            router.remove(route, owner(1)),
        ):
            with pytest.raises(Unreachable):
                await call
    finally:
        await stage.outage(lasts=False)
    await stage.write(split, owner(1))
