"""One-shot changes at the ports Registry, Journal and Chores: begun once, ended once, in full."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.division import Newcomer, added, promoted, rolled_back, weighed
from domain.errors import AlreadyRunning, Conflict, NotFound, Outdated
from domain.gate_templates.pins import TemplateScope
from domain.gate_templates.uses import TemplateUse
from domain.operations import (
    ChangeKind,
    Ending,
    Operation,
    OperationPhase,
    Subject,
    TrafficChange,
)
from domain.plan import Policies
from domain.ports import Page
from domain.registry import (
    ConfigStatus,
    ServiceState,
    TrafficStrategy,
    VariantStatus,
)
from domain.rollout import Phase
from domain.serving import served
from domain.strategies.rules import DEFAULT_GATES
from tests.plans import QUALITY
from tests.projects import (
    NOW,
    a_config,
    a_plan,
    a_project,
    a_rollout,
    a_variant,
    an_entry,
)

DONE = Ending(phase=OperationPhase.DONE, detail="the requests show it")
UNDONE = Ending(phase=OperationPhase.UNDONE, problem="Refused", detail="no such gateway")
ALL = Page(limit=50, offset=0)
USES = (
    TemplateUse(
        name="slo",
        version=3,
        scope=TemplateScope.GLOBAL,
        arguments=(("a", 3), ("b", 3.0), ("c", 1e22), ("d", True), ("e", "3")),
    ),
    TemplateUse(name="slow"),
)


@pytest.fixture
async def it(registry):
    return await a_project().store(registry)


def newcomer(it, version):
    workload = it.config.workload(version)
    return Newcomer(
        id=uuid4(), version_id=version.id, version_name=version.name, workload=workload.name
    )


def an_operation(config, after, *, kind=ChangeKind.SET_WEIGHTS, serves=None, **changes):
    change = TrafficChange(
        kind=kind,
        route=config.route,
        before=config.variants,
        after=after,
        workloads=(),
        serves=serves,
    )
    given = {"id": uuid4(), "actor": "ada", "reason": "a test", "created_at": NOW, **changes}
    return Operation(
        project_id=config.project_id,
        subject=Subject.TRAFFIC_CONFIG,
        subject_id=config.id,
        summary=f"{kind} of chat",
        change=change,
        **given,
    )


def with_canary(it, weight=10):
    return added(it.config.variants, newcomer(it, it.v2), name="canary", weight=weight, now=NOW)


async def done(registry, journal, operation):
    await registry.begin(operation)
    await journal.operation_ended(operation.id, DONE)
    return await registry.config(operation.project_id, operation.subject_id)


async def test_an_operation_comes_back_as_it_was_begun(registry, it):
    operation = an_operation(it.config, with_canary(it))
    await registry.begin(operation)
    assert await registry.operation(it.id, operation.id) == operation
    assert await registry.live_operation(it.id, it.config.id) == operation
    assert (await registry.operations(it.id, ALL, subject_id=it.config.id))[1] == 1
    assert await registry.config(it.id, it.config.id) == it.config


async def test_an_operation_of_another_project_is_not_found(registry, it):
    operation = an_operation(it.config, with_canary(it))
    await registry.begin(operation)
    stranger = uuid4()
    with pytest.raises(NotFound):
        await registry.operation(stranger, operation.id)
    with pytest.raises(NotFound):
        await registry.begin(replace(operation, id=uuid4(), project_id=stranger))
    assert await registry.operations(stranger, ALL) == ((), 0)
    assert await registry.live_operation(stranger, it.config.id) is None
    await registry.discard(replace(operation, project_id=stranger))
    assert await registry.operation(it.id, operation.id) == operation


async def test_what_is_done_changes_the_variants_and_ends_the_operation(registry, journal, it):
    after = with_canary(it)
    operation = an_operation(it.config, after, kind=ChangeKind.ADD_VARIANT)
    config = await done(registry, journal, operation)
    assert set(config.variants) == set(after)
    ended = await registry.operation(it.id, operation.id)
    assert (ended.phase, ended.problem, ended.detail) == (OperationPhase.DONE, None, DONE.detail)
    assert ended.ended_at is not None
    assert await registry.live_operation(it.id, it.config.id) is None


async def test_what_is_undone_changes_nothing_and_says_why(registry, journal, it):
    operation = an_operation(it.config, with_canary(it))
    await registry.begin(operation)
    await journal.operation_ended(operation.id, UNDONE)
    assert await registry.config(it.id, it.config.id) == it.config
    ended = await registry.operation(it.id, operation.id)
    assert (ended.phase, ended.problem) == (OperationPhase.UNDONE, "Refused")


async def test_an_operation_ends_once(registry, journal, it):
    operation = an_operation(it.config, with_canary(it))
    await registry.begin(operation)
    await journal.operation_ended(operation.id, UNDONE)
    await journal.operation_ended(operation.id, DONE)
    assert (await registry.operation(it.id, operation.id)).phase is OperationPhase.UNDONE
    assert await registry.config(it.id, it.config.id) == it.config
    with pytest.raises(NotFound):
        await journal.operation_ended(uuid4(), DONE)


async def test_what_is_done_but_for_its_tidying_has_changed_the_variants(
    registry, journal, chores, it
):
    operation = an_operation(it.config, with_canary(it))
    await registry.begin(operation)
    tidying = Ending(phase=OperationPhase.TIDYING)
    for _ in range(2):
        await journal.operation_ended(operation.id, tidying)
    config = await registry.config(it.id, it.config.id)
    assert len(config.variants) == 2
    assert operation.id in {one.id for one in await chores.running()}
    with pytest.raises(AlreadyRunning):
        await registry.begin(an_operation(config, config.variants))
    await registry.discard(operation)
    await journal.operation_ended(operation.id, DONE)
    assert (await registry.operation(it.id, operation.id)).phase is OperationPhase.DONE
    assert await registry.config(it.id, it.config.id) == config


async def test_names_may_change_hands(registry, journal, it):
    config = await done(registry, journal, an_operation(it.config, with_canary(it)))
    after = promoted(config.variants, "canary", now=NOW, window=timedelta(hours=1))
    operation = an_operation(config, after, kind=ChangeKind.PROMOTE, serves=it.v2.id)
    config = await done(registry, journal, operation)
    assert {v.name: v.model_version_name for v in config.variants} == {
        "stable": "v2",
        "old-stable-1": "v1",
    }
    assert (await registry.service(it.id, it.service.id)).model_version_ids == (it.v2.id,)


async def test_a_promotion_leaves_a_service_of_several_versions_alone(registry, journal):
    it = a_project()
    several = replace(it.service, served_models=served((it.v1, it.v3)))
    it = await replace(it, service=several).store(registry)
    config = await done(registry, journal, an_operation(it.config, with_canary(it)))
    after = promoted(config.variants, "canary", now=NOW, window=timedelta(hours=1))
    operation = an_operation(config, after, kind=ChangeKind.PROMOTE, serves=it.v2.id)
    await done(registry, journal, operation)
    assert await registry.service(it.id, several.id) == several


async def test_of_many_operations_that_begin_at_once_one_does(registry, it):
    after = with_canary(it)
    begun = await asyncio.gather(
        *(registry.begin(an_operation(it.config, after)) for _ in range(10)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, AlreadyRunning) for one in begun) == 9
    assert sum(one is None for one in begun) == 1


async def test_an_operation_on_traffic_that_has_changed_since_does_not_begin(registry, journal, it):
    config = await done(registry, journal, an_operation(it.config, with_canary(it)))
    with pytest.raises(Outdated):
        await registry.begin(an_operation(it.config, with_canary(it, 20)))
    after = weighed(config.variants, {"canary": 20}, now=NOW)
    await registry.begin(an_operation(config, after))


async def test_an_operation_and_a_rollout_do_not_begin_beside_each_other(registry, journal, it):
    rollout = await it.start(registry)
    with pytest.raises(AlreadyRunning) as caught:
        await registry.begin(an_operation(it.config, with_canary(it)))
    assert caught.value.rollout_id == str(rollout.id)
    await journal.record(rollout.id, [an_entry("end", phase=Phase.ROLLED_BACK)])
    operation = an_operation(it.config, with_canary(it))
    await registry.begin(operation)
    with pytest.raises(AlreadyRunning) as caught:
        await it.start(registry)
    assert caught.value.operation_id == str(operation.id)


async def test_of_operations_and_rollouts_that_begin_at_once_one_does(registry, it):
    after = with_canary(it)
    begun = await asyncio.gather(
        *(registry.begin(an_operation(it.config, after)) for _ in range(5)),
        *(it.start(registry) for _ in range(5)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, AlreadyRunning) for one in begun) == 9


async def test_a_rollout_does_not_begin_while_stable_shares_its_traffic(registry, journal, it):
    await done(registry, journal, an_operation(it.config, with_canary(it)))
    with pytest.raises(Outdated):
        await it.start(registry)


async def test_a_rollout_does_not_begin_beside_a_variant_that_its_plan_does_not_know(
    registry, journal, it
):
    config = await done(registry, journal, an_operation(it.config, with_canary(it, 0)))
    with pytest.raises(Outdated):
        await registry.create_rollout(
            a_rollout(a_plan(it.config, it.plan.stable, a_variant(it.config, it.v3, slot=2))),
            idempotency_key=None,
            request_hash="",
        )
    beside = a_variant(it.config, it.v2, name="canary", slot=1)
    plan = a_plan(it.config, it.plan.stable, a_variant(it.config, it.v3, slot=2))
    plan = replace(plan, bystanders=(beside,))
    await registry.create_rollout(a_rollout(plan), idempotency_key=None, request_hash="")
    assert config.variants[1].workload == beside.workload.name


async def test_on_a_paused_config_nothing_begins_but_the_way_back(registry, journal, it):
    config = await done(registry, journal, an_operation(it.config, with_canary(it)))
    await registry.set_config(replace(config, paused=True))
    after = weighed(config.variants, {"canary": 20}, now=NOW)
    with pytest.raises(Outdated, match="paused"):
        await registry.begin(an_operation(config, after))
    back = rolled_back(config.variants, now=NOW, window=timedelta(0))
    config = await done(registry, journal, an_operation(config, back, kind=ChangeKind.ROLL_BACK))
    with pytest.raises(Outdated, match="paused"):
        await it.start(registry)


async def test_a_discarded_operation_leaves_the_subject_free(registry, it):
    operation = an_operation(it.config, with_canary(it))
    await registry.begin(operation)
    await registry.discard(operation)
    await registry.discard(operation)
    with pytest.raises(NotFound):
        await registry.operation(it.id, operation.id)
    await registry.begin(an_operation(it.config, with_canary(it)))


async def test_an_operation_that_has_ended_cannot_be_discarded(registry, journal, it):
    operation = an_operation(it.config, with_canary(it))
    await done(registry, journal, operation)
    await registry.discard(operation)
    assert (await registry.operation(it.id, operation.id)).phase is OperationPhase.DONE


async def test_a_config_that_is_not_active_takes_no_change_but_its_deletion(registry, journal):
    it = await a_project(status=ConfigStatus.FAILED).store(registry)
    with pytest.raises(Conflict):
        await registry.begin(an_operation(it.config, with_canary(it)))
    await registry.begin(an_operation(it.config, (), kind=ChangeKind.DELETE_CONFIG))


async def test_a_deleted_config_is_gone_with_its_rollouts_but_not_its_operations(
    registry, journal, it
):
    rollout = await it.start(registry)
    await journal.record(rollout.id, [an_entry("end", phase=Phase.ROLLED_BACK)])
    operation = an_operation(it.config, (), kind=ChangeKind.DELETE_CONFIG)
    await registry.begin(operation)
    await journal.operation_ended(operation.id, DONE)
    for read in (
        registry.config(it.id, it.config.id),
        registry.rollout(it.id, rollout.id),
    ):
        with pytest.raises(NotFound):
            await read
    assert (await registry.operation(it.id, operation.id)).phase is OperationPhase.DONE
    service = await registry.service(it.id, it.service.id)
    assert service.current_state is ServiceState.DEPLOYED
    await registry.create_config(a_config(it.environment, it.service, it.v1))


async def test_a_config_is_created_with_the_templates_that_it_names(registry):
    it = await a_project(default_gate_templates=USES).store(registry)
    # Told apart as written: 3 is no 3.0, and neither is true.
    found = (await registry.config(it.id, it.config.id)).default_gate_templates
    assert repr(found) == repr(USES)
    ((listed,), _) = await registry.configs(it.id, ALL)
    assert listed == it.config


async def test_settings_are_kept_and_nothing_else_is_touched(registry, it):
    changed = replace(
        it.config,
        strategy=TrafficStrategy.BLUE_GREEN,
        paused=True,
        default_gates=(QUALITY, *DEFAULT_GATES),
        default_gate_templates=USES,
        default_policies=Policies(drain=timedelta(seconds=9)),
        rollback_window=timedelta(minutes=5),
        updated_at=NOW + timedelta(minutes=1),
    )
    meddling = replace(changed, variants=(), status=ConfigStatus.FAILED)
    await registry.set_config(meddling)
    assert await registry.config(it.id, it.config.id) == changed
    with pytest.raises(NotFound):
        await registry.set_config(replace(changed, project_id=uuid4()))


@pytest.mark.parametrize("strategy", list(TrafficStrategy))
async def test_configs_are_found_by_strategy_and_status(registry, strategy):
    it = await a_project(strategy=strategy).store(registry)
    other = next(s for s in TrafficStrategy if s is not strategy)
    assert await registry.configs(it.id, ALL, strategy=strategy) == ((it.config,), 1)
    assert await registry.configs(it.id, ALL, strategy=other) == ((), 0)
    assert await registry.configs(it.id, ALL, status=ConfigStatus.ACTIVE) == ((it.config,), 1)
    assert await registry.configs(it.id, ALL, status=ConfigStatus.FAILED) == ((), 0)


async def test_the_chores_are_what_is_running_and_what_is_due(registry, journal, chores, it):
    def is_mine(config):
        return config.id == it.config.id

    config = await done(registry, journal, an_operation(it.config, with_canary(it)))
    after = promoted(config.variants, "canary", now=NOW, window=timedelta(0))
    operation = an_operation(config, after)
    await registry.begin(operation)
    assert operation in await chores.running()
    assert not any(map(is_mine, await chores.due()))
    await journal.operation_ended(operation.id, DONE)
    assert operation.id not in {one.id for one in await chores.running()}
    (due,) = filter(is_mine, await chores.due())
    assert [v.status for v in due.variants if v.retire_at] == [VariantStatus.INACTIVE]


async def test_nothing_is_due_while_a_rollout_walks_or_the_config_is_paused(
    registry, journal, chores, it
):
    config = await done(registry, journal, an_operation(it.config, with_canary(it)))
    after = promoted(config.variants, "canary", now=NOW, window=timedelta(0))
    config = await done(registry, journal, an_operation(config, after))
    assert config.id in {one.id for one in await chores.due()}
    await registry.set_config(replace(config, paused=True))
    assert config.id not in {one.id for one in await chores.due()}
