"""The ports Journal and Patrol."""

import asyncio
import math
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest

from domain.division import FORMER_KEPT, former_stables
from domain.errors import Conflict, InvalidSpec, NotFound, Outdated
from domain.ports import Page
from domain.registry import ConfigStatus, Role, ServiceState, VariantStatus
from domain.rollout import EventKind, Phase
from domain.serving import own_workload, served
from domain.strategies.compiling import compile_plan
from domain.strategies.rules import Parties
from tests.plans import ab_test_spec
from tests.projects import (
    NOW,
    a_plan,
    a_project,
    a_rollout,
    a_service,
    a_variant,
    a_version,
    an_entry,
)

LATER = NOW + timedelta(hours=1)


@pytest.fixture
async def it(registry):
    return await a_project().store(registry)


@pytest.fixture
async def rollout(registry, it):
    return await it.start(registry)


@pytest.fixture
def variants(registry, it):
    """The config's variants by name: role, version, weight, status."""

    async def read():
        config = await registry.config(it.id, it.config.id)
        return {v.name: (v.role, v.model_version_name, v.weight, v.status) for v in config.variants}

    return read


@pytest.fixture
def everything(registry, it, rollout):
    """All that a journal can change."""

    async def read():
        return (
            await registry.rollout(it.id, rollout.id),
            await registry.config(it.id, it.config.id),
            await registry.service(it.id, it.service.id),
            await registry.events(it.id, rollout.id, after=0, limit=100),
        )

    return read


STABLE = (Role.STABLE, "v1", 100, VariantStatus.ACTIVE)


async def test_an_entry_becomes_an_event(registry, journal, it, rollout):
    data = {"verdict": {"high": math.inf, "reason": "3 of 100"}, "steps": [1, 2.5, None]}
    entry = an_entry("k", EventKind.VERDICT, message="errors: pass", step=2, data=data)
    await journal.record(rollout.id, [entry])
    (event,) = await registry.events(it.id, rollout.id, after=0, limit=10)
    assert (event.kind, event.message, event.at, event.step) == (
        EventKind.VERDICT,
        "errors: pass",
        entry.at,
        2,
    )
    assert event.data["steps"] == [1, 2.5, None]
    assert event.data["verdict"]["reason"] == "3 of 100"


async def test_an_entry_without_changes_leaves_the_rollout_where_it_was(
    registry, journal, it, rollout
):
    await journal.record(rollout.id, [an_entry("k", at=LATER)])
    assert await registry.rollout(it.id, rollout.id) == replace(rollout, updated_at=LATER)


async def test_phase_step_and_weight_are_projected(registry, journal, it, rollout):
    await journal.record(
        rollout.id,
        [
            an_entry("a", phase=Phase.PROGRESSING, message="off we go", joined=it.plan.candidate),
            an_entry("b", step=3, weights={"stable": 75, "candidate": 25}),
        ],
    )
    seen = await registry.rollout(it.id, rollout.id)
    assert (seen.phase, seen.phase_reason, seen.step, seen.candidate_weight, seen.ended_at) == (
        Phase.PROGRESSING,
        "off we go",
        3,
        25,
        None,
    )


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.is_final])
async def test_a_final_phase_ends_the_rollout(registry, journal, it, rollout, phase):
    await journal.record(rollout.id, [an_entry("end", phase=phase, message="so be it", at=LATER)])
    seen = await registry.rollout(it.id, rollout.id)
    assert (seen.phase, seen.phase_reason, seen.ended_at) == (phase, "so be it", LATER)


async def test_a_rollout_that_is_taken_up_again_has_not_ended(registry, journal, it, rollout):
    for number, phase in enumerate((Phase.FAILED, Phase.ROLLING_BACK)):
        await journal.record(rollout.id, [an_entry(f"{number}", phase=phase)])
    seen = await registry.rollout(it.id, rollout.id)
    assert (seen.phase, seen.ended_at) == (Phase.ROLLING_BACK, None)


async def test_a_key_that_stands_changes_nothing_at_all(journal, it, rollout, everything):
    await journal.record(rollout.id, [an_entry("join", joined=it.plan.candidate)])
    await journal.record(rollout.id, [an_entry("w", weights={"stable": 90, "candidate": 10})])
    before = await everything()
    again = an_entry(
        "w", weights={"stable": 0, "candidate": 100}, phase=Phase.PROMOTED, step=9, at=LATER
    )
    await journal.record(rollout.id, [again])
    assert await everything() == before


async def test_two_entries_of_one_key_in_one_call_stand_once(registry, journal, it, rollout):
    await journal.record(rollout.id, [an_entry("k", step=1), an_entry("k", step=2)])
    assert (await registry.rollout(it.id, rollout.id)).step == 1
    assert len(await registry.events(it.id, rollout.id, after=0, limit=10)) == 1


async def test_the_run_that_walks_a_rollout_is_known(registry, journal, it, rollout):
    await journal.record(rollout.id, [an_entry("1", run_id="run-1"), an_entry("2")])
    assert (await registry.rollout(it.id, rollout.id)).run_id == "run-1"


async def test_the_same_key_in_another_rollout_is_another_entry(registry, journal, it, rollout):
    beside = await a_project().store(registry)
    for project, each in ((it, rollout), (beside, await beside.start(registry))):
        await journal.record(each.id, [an_entry("k", step=4)])
        assert (await registry.rollout(project.id, each.id)).step == 4


async def test_a_joined_variant_holds_its_slot_without_weight(journal, it, rollout, registry):
    await journal.record(rollout.id, [an_entry("join", joined=it.plan.candidate)])
    config = await registry.config(it.id, it.config.id)
    stable, candidate = config.variants
    assert stable == it.config.variants[0]
    assert (candidate.name, candidate.role, candidate.weight, candidate.slot) == (
        "candidate",
        Role.CANDIDATE,
        0,
        1,
    )
    assert candidate.workload == it.plan.candidate.workload.name


async def test_a_variant_that_joins_again_takes_its_new_name_and_slot(
    journal, it, rollout, registry
):
    again = replace(it.plan.candidate, name="again", slot=4)
    await journal.record(rollout.id, [an_entry("1", joined=it.plan.candidate)])
    await journal.record(rollout.id, [an_entry("2", joined=again)])
    _, candidate = (await registry.config(it.id, it.config.id)).variants
    assert (candidate.name, candidate.slot) == ("again", 4)


async def test_stable_cannot_join_or_leave(journal, it, rollout, variants):
    await journal.record(
        rollout.id, [an_entry("1", joined=it.plan.stable), an_entry("2", left=it.plan.stable)]
    )
    assert await variants() == {"stable": STABLE}


async def test_weights_are_those_of_the_plan_s_variants(journal, it, rollout, variants):
    await journal.record(
        rollout.id,
        [
            an_entry("join", joined=it.plan.candidate),
            an_entry("w", weights={"stable": 40, "candidate": 60}),
        ],
    )
    assert await variants() == {
        "stable": (Role.STABLE, "v1", 40, VariantStatus.ACTIVE),
        "candidate": (Role.CANDIDATE, "v2", 60, VariantStatus.ACTIVE),
    }


async def test_a_way_home_before_the_candidate_joined_is_recorded(journal, it, rollout, variants):
    await journal.record(rollout.id, [an_entry("home", weights={"stable": 100, "candidate": 0})])
    assert await variants() == {"stable": STABLE}


@pytest.mark.parametrize(
    "weights", [{"stable": 90, "candidate": 20}, {"candidate": 10}, {"stable": 0, "candidate": 0}]
)
async def test_weights_that_do_not_sum_to_100_are_refused_whole(
    journal, it, rollout, everything, weights
):
    await journal.record(rollout.id, [an_entry("join", joined=it.plan.candidate)])
    before = await everything()
    with pytest.raises(Conflict):
        await journal.record(rollout.id, [an_entry("ok", step=7), an_entry("w", weights=weights)])
    assert await everything() == before


async def test_a_weight_of_a_stranger_is_refused(journal, it, rollout):
    with pytest.raises(InvalidSpec, match=r"weights\.stranger"):
        await journal.record(rollout.id, [an_entry("w", weights={"stable": 100, "stranger": 0})])


async def test_a_promoted_variant_is_stable_and_the_service_serves_it(
    registry, journal, it, rollout, variants
):
    await journal.record(
        rollout.id,
        [
            an_entry("join", joined=it.plan.candidate),
            an_entry("w", weights={"stable": 0, "candidate": 100}),
            an_entry("p", promoted=it.plan.candidate),
        ],
    )
    assert await variants() == {
        "stable": (Role.STABLE, "v2", 100, VariantStatus.ACTIVE),
        "old-stable-1": (Role.RETIRING, "v1", 0, VariantStatus.INACTIVE),
    }
    assert (await registry.service(it.id, it.service.id)).model_version_ids == (it.v2.id,)


async def test_a_promotion_alone_moves_all_the_weight(journal, it, rollout, variants):
    await journal.record(
        rollout.id,
        [
            an_entry("join", joined=it.plan.candidate),
            an_entry("w", weights={"stable": 50, "candidate": 50}),
            an_entry("p", promoted=it.plan.candidate),
        ],
    )
    assert (await variants())["stable"] == (Role.STABLE, "v2", 100, VariantStatus.ACTIVE)


async def test_a_former_stable_takes_the_lowest_free_name(registry, journal, it, rollout, variants):
    async def promote(plan):
        started = await registry.create_rollout(
            replace(rollout, id=uuid4(), plan=plan), idempotency_key=None, request_hash=""
        )
        await journal.record(
            started.id,
            [
                an_entry("j", joined=plan.candidate),
                an_entry("p", promoted=plan.candidate, phase=Phase.PROMOTED),
            ],
        )
        return started

    await journal.record(rollout.id, [an_entry("end", phase=Phase.ROLLED_BACK)])
    v2, v3 = it.plan.candidate, a_variant(it.config, it.v3, name="next", slot=2)
    first = await promote(it.plan)
    second = a_plan(it.config, replace(v2, name="stable"), v3)
    await promote(replace(second, bystanders=(it.plan.stable,)))
    assert set(await variants()) == {"stable", "old-stable-1", "old-stable-2"}
    await journal.record(first.id, [an_entry("left", left=it.plan.stable)])
    assert (await variants())["old-stable-1"][-1] is VariantStatus.RETIRED
    await promote(a_plan(it.config, replace(v3, name="stable"), replace(v2, name="back", slot=1)))
    assert {name: version for name, (_, version, *_) in (await variants()).items()} == {
        "stable": "v2",
        "old-stable-1": "v1",
        "old-stable-2": "v3",
    }


@pytest.fixture
def step_up(registry, journal, it):
    """Have a rollout promote a version, as its workflow would, and give the config afterwards."""

    async def promote(stable, candidate, at):
        plan = a_plan(it.config, stable, candidate)
        started = await registry.create_rollout(
            a_rollout(plan), idempotency_key=None, request_hash=""
        )
        entries = [
            an_entry("j", joined=candidate, at=at),
            an_entry("p", promoted=candidate, at=at),
            an_entry("l", left=stable, at=at + timedelta(hours=1), phase=Phase.PROMOTED),
        ]
        await journal.record(started.id, entries)
        return await registry.config(it.id, it.config.id)

    return promote


def superseded(config):
    return {v.model_version_name: v.superseded_at for v in config.variants}


async def test_when_a_newcomer_took_its_place_is_kept_and_a_version_gone_back_from_has_no_such_time(
    it, step_up
):
    v1, v2 = it.plan.stable, it.plan.candidate
    v3 = a_variant(it.config, it.v3, slot=2)
    times = [NOW + timedelta(days=day) for day in range(3)]
    config = await step_up(v1, v2, times[0])
    assert superseded(config) == {"v1": times[0], "v2": None}
    config = await step_up(replace(v2, name="stable"), replace(v1, name="back"), times[1])
    assert superseded(config) == {"v1": None, "v2": None}
    config = await step_up(replace(v1, name="stable"), v3, times[2])
    assert superseded(config) == {"v1": times[2], "v2": None, "v3": None}


async def test_of_the_former_stables_the_last_few_are_remembered(registry, journal, it, rollout):
    await journal.record(rollout.id, [an_entry("end", phase=Phase.ROLLED_BACK)])
    stable = it.plan.stable
    for number in range(FORMER_KEPT + 2):
        version = a_version(it.model, name=f"next-{number}")
        await registry.create_version(version)
        candidate = a_variant(it.config, version, slot=1 + number % 2)
        plan = a_plan(it.config, stable, candidate)
        started = await registry.create_rollout(
            replace(rollout, id=uuid4(), plan=plan), idempotency_key=None, request_hash=""
        )
        at = NOW + timedelta(minutes=number)
        entries = [
            an_entry("j", joined=plan.candidate, at=at),
            an_entry("p", promoted=plan.candidate, at=at),
            an_entry("l", left=plan.stable, phase=Phase.PROMOTED, at=at),
        ]
        await journal.record(started.id, entries)
        stable = replace(plan.candidate, name="stable")
    config = await registry.config(it.id, it.config.id)
    former = former_stables(config.variants)
    assert [v.model_version_name for v in former] == [
        f"next-{number}" for number in reversed(range(1, FORMER_KEPT + 1))
    ]


async def test_a_variant_that_left_is_gone(journal, it, rollout, variants):
    await journal.record(rollout.id, [an_entry("1", joined=it.plan.candidate)])
    for key in ("2", "3"):
        await journal.record(rollout.id, [an_entry(key, left=it.plan.candidate)])
    assert await variants() == {"stable": STABLE}


async def test_a_variant_cannot_leave_with_its_traffic(journal, it, rollout, variants):
    await journal.record(
        rollout.id,
        [
            an_entry("1", joined=it.plan.candidate),
            an_entry("2", weights={"stable": 90, "candidate": 10}),
        ],
    )
    with pytest.raises(Conflict):
        await journal.record(rollout.id, [an_entry("3", left=it.plan.candidate)])
    assert "candidate" in await variants()


async def test_a_whole_canary_leaves_stable_and_the_memory_of_the_one_before(
    registry, journal, it, rollout, variants
):
    plan = it.plan
    for number, changes in enumerate(
        (
            {"phase": Phase.PROGRESSING},
            {"joined": plan.candidate},
            {"weights": {"stable": 90, "candidate": 10}, "step": 1},
            {"weights": {"stable": 0, "candidate": 100}, "step": 5},
            {"promoted": plan.candidate, "phase": Phase.PROMOTING},
            {"left": plan.stable},
            {"phase": Phase.PROMOTED},
        )
    ):
        await journal.record(rollout.id, [an_entry(f"{number}", **changes)])
    assert await variants() == {
        "stable": (Role.STABLE, "v2", 100, VariantStatus.ACTIVE),
        "old-stable-1": (Role.RETIRING, "v1", 0, VariantStatus.RETIRED),
    }
    seen = await registry.rollout(it.id, rollout.id)
    assert (seen.phase, seen.step, seen.candidate_weight) == (Phase.PROMOTED, 5, 100)


async def test_the_history_of_an_unknown_rollout_is_not_found(journal):
    with pytest.raises(NotFound):
        await journal.record(uuid4(), [an_entry("k")])


async def test_nothing_to_record_is_no_error(journal, rollout):
    await journal.record(rollout.id, [])


async def test_service_state_and_config_status_are_absolute(registry, journal, it):
    for _ in range(2):
        await journal.service_state(it.service.id, ServiceState.FAILED, "no such runtime")
        await journal.config_status(it.config.id, ConfigStatus.FAILED, "no such gateway")
    service = await registry.service(it.id, it.service.id)
    config = await registry.config(it.id, it.config.id)
    assert (service.current_state, service.state_reason) == (ServiceState.FAILED, "no such runtime")
    assert service.desired_state is it.service.desired_state
    assert (config.status, config.status_reason) == (ConfigStatus.FAILED, "no such gateway")


async def test_a_promotion_leaves_a_service_of_several_versions_alone(registry, journal):
    it = a_project()
    several = replace(it.service, served_models=served((it.v1, it.v3)))
    it = await replace(it, service=several).store(registry)
    rollout = await it.start(registry)
    await journal.record(
        rollout.id,
        [
            an_entry("join", joined=it.plan.candidate),
            an_entry("p", promoted=it.plan.candidate),
        ],
    )
    assert await registry.service(it.id, several.id) == several


async def test_what_is_gone_is_no_longer_leaving(registry, journal, it):
    workloads = tuple(own_workload(it.service, "prod", (v,)) for v in (it.v1, it.v2, it.v3))
    service = a_service(it.environment, it.v1, name="moving", leaving=workloads)
    await registry.create_service(service)
    gone = [workloads[0].name, workloads[2].name, "nobody"]
    for _ in range(2):
        await journal.service_state(service.id, ServiceState.DEPLOYED, "", gone)
    assert (await registry.service(it.id, service.id)).leaving == (workloads[1],)


async def test_a_state_that_was_seen_makes_what_was_read_before_it_outdated(registry, journal, it):
    before = await registry.service(it.id, it.service.id)
    await journal.service_state(it.service.id, ServiceState.FAILED, "no such model")
    with pytest.raises(Outdated):
        await registry.change_service(before, before, unused=False)


async def test_a_service_that_is_to_be_undeployed_can_be_forgotten(registry, journal, it):
    states = {"desired_state": ServiceState.UNDEPLOYED, "current_state": ServiceState.UNDEPLOYING}
    going, staying = (
        a_service(it.environment, it.v1, name="going", **states),
        a_service(it.environment, it.v1, name="staying"),
    )
    for service in (going, staying):
        await registry.create_service(service)
        for _ in range(2):
            await journal.forget_service(service.id)
    with pytest.raises(NotFound):
        await registry.service(it.id, going.id)
    assert await registry.service(it.id, staying.id) == staying


async def test_state_of_what_is_not_there_is_not_found(journal):
    with pytest.raises(NotFound):
        await journal.service_state(uuid4(), ServiceState.DEPLOYED, "")
    with pytest.raises(NotFound):
        await journal.config_status(uuid4(), ConfigStatus.ACTIVE, "")


async def test_a_config_becomes_active_only_when_its_weights_sum_to_100(registry, journal):
    it = a_project(status=ConfigStatus.PUBLISHING)
    idle = replace(it.config, variants=(replace(it.config.variants[0], weight=0),))
    it = await replace(it, config=idle).store(registry)
    with pytest.raises(Conflict):
        await journal.config_status(it.config.id, ConfigStatus.ACTIVE, "")
    config = await registry.config(it.id, it.config.id)
    assert config.status is ConfigStatus.PUBLISHING


async def test_concurrent_writers_of_one_rollout_lose_no_entry(registry, journal, it, rollout):
    await asyncio.gather(
        *(journal.record(rollout.id, [an_entry(f"{i}"), an_entry("shared")]) for i in range(20))
    )
    events = await registry.events(it.id, rollout.id, after=0, limit=100)
    assert len(events) == 21
    assert all(before.id < after.id for before, after in pairwise(events))


async def test_the_guardian_sees_the_unfinished_rollouts_of_all_projects(
    registry, journal, it, rollout, patrol
):
    other = await a_project().store(registry)
    ended = await other.start(registry)
    await journal.record(ended.id, [an_entry("end", phase=Phase.ROLLED_BACK)])
    paused = await other.start(registry, created_at=LATER)
    await journal.record(paused.id, [an_entry("stop", phase=Phase.PAUSED)])
    unfinished = await patrol.unfinished()
    assert [(r.id, r.phase) for r in unfinished] == [
        (rollout.id, Phase.PENDING),
        (paused.id, Phase.PAUSED),
    ]
    assert unfinished[0] == rollout
    assert (await registry.rollouts(other.id, Page(limit=9, offset=0)))[1] == 2


async def test_of_several_challengers_each_joins_and_the_one_promoted_is_remembered(
    registry, journal, it, variants
):
    b, c = (
        a_variant(it.config, version, name=name, slot=slot)
        for version, name, slot in ((it.v2, "b", 1), (it.v3, "c", 2))
    )
    parties = Parties(route=it.plan.route, stable=it.plan.stable, candidate=b, others=(c,))
    plan = compile_plan(ab_test_spec(), parties)
    rollout = await registry.create_rollout(
        a_rollout(plan), idempotency_key=None, request_hash="hash"
    )
    home = {"stable": 100, "b": 0, "c": 0}
    await journal.record(
        rollout.id,
        [
            an_entry("b", EventKind.DEPLOYED, joined=b, weights=home),
            an_entry("c", EventKind.DEPLOYED, joined=c, weights=home),
            an_entry("split", EventKind.SETTLED, weights={"stable": 34, "b": 33, "c": 33}),
        ],
    )
    candidate = (Role.CANDIDATE, VariantStatus.ACTIVE)
    assert await variants() == {
        "stable": (Role.STABLE, "v1", 34, VariantStatus.ACTIVE),
        "b": (candidate[0], "v2", 33, candidate[1]),
        "c": (candidate[0], "v3", 33, candidate[1]),
    }
    split = await registry.rollout(it.id, rollout.id)
    assert (split.candidate_weight, split.chosen) == (66, "")

    full = {"stable": 0, "b": 0, "c": 100}
    await journal.record(
        rollout.id,
        [
            an_entry("full", EventKind.SETTLED, weights=full),
            an_entry("promote", EventKind.PROMOTED, promoted=c, phase=Phase.PROMOTING),
            an_entry("b left", EventKind.RETIRED, left=b, weights=full),
        ],
    )
    promoted = await registry.rollout(it.id, rollout.id)
    assert (promoted.chosen, promoted.plan) == ("c", plan)
    now = await variants()
    assert now["stable"] == (Role.STABLE, "v3", 100, VariantStatus.ACTIVE)
    assert "b" not in now
