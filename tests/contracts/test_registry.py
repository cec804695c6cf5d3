"""The port Registry."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.errors import AlreadyExists, AlreadyRunning, Conflict, NotFound, Outdated
from domain.ports import Page
from domain.registry import ConfigStatus
from domain.rollout import EventKind, Phase
from tests.projects import (
    NOW,
    a_config,
    a_model,
    a_project,
    a_rollout,
    a_service,
    a_version,
    an_entry,
    an_environment,
)

ALL = Page(limit=50, offset=0)


async def test_what_was_stored_comes_back_as_it_was(registry):
    it = await a_project().store(registry)
    rollout = await it.start(registry, run_id="run-1")
    assert await registry.model(it.id, it.model.id) == it.model
    assert await registry.version(it.id, it.v2.id) == it.v2
    assert await registry.environment(it.id, it.environment.id) == it.environment
    assert await registry.service(it.id, it.service.id) == it.service
    assert await registry.config(it.id, it.config.id) == it.config
    assert await registry.rollout(it.id, rollout.id) == rollout
    await registry.ready()


async def test_a_thing_of_another_project_is_not_found(registry):
    it = await a_project().store(registry)
    rollout = await it.start(registry)
    stranger = uuid4()
    for read in (
        registry.model(stranger, it.model.id),
        registry.version(stranger, it.v1.id),
        registry.environment(stranger, it.environment.id),
        registry.service(stranger, it.service.id),
        registry.config(stranger, it.config.id),
        registry.rollout(stranger, rollout.id),
        registry.events(stranger, rollout.id, after=0, limit=10),
        anext(registry.follow(stranger, rollout.id, after=0)),
    ):
        with pytest.raises(NotFound):
            await read


async def test_lists_show_one_project_only(registry):
    it = await a_project().store(registry)
    await it.start(registry)
    other = await a_project().store(registry)
    for read in (
        registry.models,
        registry.versions,
        registry.environments,
        registry.services,
        registry.configs,
    ):
        found, total = await read(it.id, ALL)
        assert {thing.project_id for thing in found} == {it.id}
        assert total == len(found)
    assert await registry.rollouts(other.id, ALL) == ((), 0)
    assert await registry.live_rollout(other.id, it.config.id) is None


async def test_a_taken_name_is_refused_in_words(registry):
    it = await a_project().store(registry)
    for create in (
        registry.create_model(replace(it.model, id=uuid4())),
        registry.create_version(replace(it.v1, id=uuid4())),
        registry.create_environment(replace(it.environment, id=uuid4())),
        registry.create_service(replace(it.service, id=uuid4())),
    ):
        with pytest.raises(AlreadyExists, match=r"'?(chat|v1|prod)'?.* exists already"):
            await create


async def test_another_project_may_use_the_same_names(registry):
    await a_project().store(registry)
    await a_project().store(registry)


async def test_another_model_may_have_a_version_of_the_same_name(registry):
    it = await a_project().store(registry)
    other = a_model(it.id, name="other")
    await registry.create_model(other)
    await registry.create_version(a_version(other, name="v1"))


async def test_a_reference_into_another_project_is_not_found(registry):
    it, other = await a_project().store(registry), await a_project().store(registry)
    mine = an_environment(it.id, name="mine")
    await registry.create_environment(mine)
    stolen = replace(a_service(mine, other.v1, name="stolen"))
    version = replace(a_version(other.model, name="v9"), project_id=it.id)
    config = a_config(mine, replace(other.service, project_id=it.id), it.v1)
    for create in (
        registry.create_version(version),
        registry.create_service(stolen),
        registry.create_config(config),
        registry.create_rollout(
            replace(a_rollout(other.plan), project_id=it.id), idempotency_key=None, request_hash=""
        ),
    ):
        with pytest.raises(NotFound):
            await create


async def test_a_service_has_one_config(registry):
    it = await a_project().store(registry)
    with pytest.raises(AlreadyExists):
        await registry.create_config(a_config(it.environment, it.service, it.v1))


async def test_a_config_whose_variant_is_of_another_project_is_not_stored(registry):
    it, other = await a_project().store(registry), await a_project().store(registry)
    service = a_service(it.environment, it.v1, name="second")
    await registry.create_service(service)
    config = a_config(it.environment, service, other.v1)
    with pytest.raises(NotFound):
        await registry.create_config(config)
    with pytest.raises(NotFound):
        await registry.config(it.id, config.id)


async def test_lists_are_newest_first_in_pages_with_the_total(registry):
    project_id = uuid4()
    models = [
        a_model(project_id, name=f"m{i}", created_at=NOW + timedelta(hours=i)) for i in range(5)
    ]
    for model in models:
        await registry.create_model(model)
    newest_first = tuple(reversed(models))
    assert await registry.models(project_id, Page(limit=2, offset=0)) == (newest_first[:2], 5)
    assert await registry.models(project_id, Page(limit=2, offset=4)) == (newest_first[4:], 5)
    assert await registry.models(project_id, Page(limit=2, offset=9)) == ((), 5)
    assert await registry.models(uuid4(), ALL) == ((), 0)


async def test_lists_can_be_narrowed(registry):
    it = await a_project().store(registry)
    other = a_model(it.id, name="other")
    await registry.create_model(other)
    elsewhere = an_environment(it.id, name="staging")
    await registry.create_environment(elsewhere)
    for found, wanted in (
        (await registry.models(it.id, ALL, name="other"), [other]),
        (await registry.versions(it.id, ALL, model_id=other.id), []),
        (await registry.environments(it.id, ALL, name="staging"), [elsewhere]),
        (await registry.services(it.id, ALL, environment_id=elsewhere.id), []),
        (await registry.services(it.id, ALL, environment_id=it.environment.id), [it.service]),
        (await registry.configs(it.id, ALL, service_id=it.service.id), [it.config]),
        (await registry.configs(it.id, ALL, service_id=uuid4()), []),
    ):
        assert found == (tuple(wanted), len(wanted))


async def test_rollouts_can_be_narrowed_by_config_and_phase(registry, journal):
    it = await a_project().store(registry)
    done = await it.start(registry)
    await journal.record(done.id, [an_entry("end", phase=Phase.PROMOTED)])
    live = await it.start(registry)
    (found,), total = await registry.rollouts(it.id, ALL, phase=Phase.PROMOTED)
    assert (found.id, total) == (done.id, 1)
    found, total = await registry.rollouts(it.id, ALL, config_id=it.config.id)
    assert ({r.id for r in found}, total) == ({done.id, live.id}, 2)
    assert await registry.rollouts(it.id, ALL, config_id=uuid4()) == ((), 0)


async def test_the_same_key_gives_the_same_rollout(registry):
    it = await a_project().store(registry)
    first, second = a_rollout(it.plan), a_rollout(it.plan)
    for asked in (first, second):
        got = await registry.create_rollout(asked, idempotency_key="k", request_hash="h")
        assert got == first
    assert (await registry.rollouts(it.id, ALL))[1] == 1


async def test_concurrent_requests_of_one_key_give_one_rollout(registry):
    it = await a_project().store(registry)
    got = await asyncio.gather(
        *(
            registry.create_rollout(a_rollout(it.plan), idempotency_key="k", request_hash="h")
            for _ in range(8)
        )
    )
    assert len({rollout.id for rollout in got}) == 1
    assert (await registry.rollouts(it.id, ALL))[1] == 1


async def test_the_same_key_for_another_request_is_a_conflict(registry):
    it = await a_project().store(registry)
    await registry.create_rollout(a_rollout(it.plan), idempotency_key="k", request_hash="h")
    with pytest.raises(Conflict, match="'k'"):
        await registry.create_rollout(a_rollout(it.plan), idempotency_key="k", request_hash="x")


async def test_a_key_means_nothing_to_another_project(registry):
    it, other = await a_project().store(registry), await a_project().store(registry)
    for project in (it, other):
        asked = a_rollout(project.plan)
        got = await registry.create_rollout(asked, idempotency_key="k", request_hash="h")
        assert got.id == asked.id


async def test_a_discarded_rollout_is_forgotten_with_its_key(registry):
    it = await a_project().store(registry)
    first = a_rollout(it.plan)
    await registry.create_rollout(first, idempotency_key="k", request_hash="h")
    await registry.discard_rollout(it.id, first.id)
    await registry.discard_rollout(it.id, first.id)
    with pytest.raises(NotFound):
        await registry.rollout(it.id, first.id)
    second = a_rollout(it.plan)
    got = await registry.create_rollout(second, idempotency_key="k", request_hash="other")
    assert got.id == second.id


async def test_a_rollout_that_has_started_cannot_be_discarded(registry, journal):
    it = await a_project().store(registry)
    rollout = await it.start(registry)
    await registry.discard_rollout(uuid4(), rollout.id)
    await journal.record(rollout.id, [an_entry("go", phase=Phase.PROGRESSING)])
    with pytest.raises(Conflict):
        await registry.discard_rollout(it.id, rollout.id)
    await registry.rollout(it.id, rollout.id)


async def test_a_config_has_at_most_one_rollout_that_has_not_ended(registry, journal):
    it = await a_project().store(registry)
    assert await registry.live_rollout(it.id, it.config.id) is None
    for phase in (Phase.PROMOTED, Phase.ROLLED_BACK, Phase.FAILED):
        live = await it.start(registry)
        assert await registry.live_rollout(it.id, it.config.id) == live
        with pytest.raises(AlreadyRunning):
            await it.start(registry)
        await journal.record(live.id, [an_entry("end", phase=phase)])
        assert await registry.live_rollout(it.id, it.config.id) is None


async def test_a_plan_whose_stable_is_no_longer_the_stable_one_is_not_stored(registry, journal):
    it = await a_project().store(registry)
    first = await it.start(registry)
    candidate = it.plan.candidate
    entries = [
        an_entry("join", joined=candidate),
        an_entry("promote", promoted=candidate, phase=Phase.PROMOTED),
    ]
    await journal.record(first.id, entries)
    with pytest.raises(Outdated):
        await it.start(registry)


async def test_of_many_rollouts_that_begin_at_once_one_does(registry):
    it = await a_project().store(registry)
    begun = await asyncio.gather(*(it.start(registry) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(one, AlreadyRunning) for one in begun) == 9


async def test_events_are_read_from_behind_an_id(registry, journal):
    it = await a_project().store(registry)
    rollout = await it.start(registry)
    entries = [an_entry(f"{i}", EventKind.VERDICT, message=f"look {i}", step=i) for i in range(5)]
    await journal.record(rollout.id, entries)
    first = await registry.events(it.id, rollout.id, after=0, limit=2)
    rest = await registry.events(it.id, rollout.id, after=first[-1].id, limit=10)
    told = [*first, *rest]
    assert [event.message for event in told] == [entry.message for entry in entries]
    assert [event.id for event in told] == sorted({event.id for event in told})
    assert (first[0].kind, first[1].step, first[0].at) == (EventKind.VERDICT, 1, entries[0].at)
    assert await registry.events(it.id, rollout.id, after=told[-1].id, limit=10) == ()


async def first_of(events, count):
    async with asyncio.timeout(30), aclosing(events):
        return [await anext(events) for _ in range(count)]


async def test_a_follower_sees_what_was_and_what_comes_once_each(registry, journal):
    it = await a_project().store(registry)
    beside = await a_project().store(registry)
    rollout, other = await it.start(registry), await beside.start(registry)
    await journal.record(rollout.id, [an_entry("0"), an_entry("1")])
    begin = (await registry.events(it.id, rollout.id, after=0, limit=1))[0].id
    followers = [
        asyncio.create_task(first_of(registry.follow(it.id, rollout.id, after=after), count))
        for after, count in ((0, 6), (0, 6), (begin, 5))
    ]
    for number in range(2, 6):
        await journal.record(other.id, [an_entry(f"{number}")])
        await journal.record(rollout.id, [an_entry(f"{number}")])
    everything = list(await registry.events(it.id, rollout.id, after=0, limit=10))
    assert await asyncio.gather(*followers) == [everything, everything, everything[1:]]


async def test_a_config_may_wait_for_its_route_with_any_status(registry, journal):
    it = await a_project(status=ConfigStatus.PUBLISHING).store(registry)
    await journal.config_status(it.config.id, ConfigStatus.FAILED, "no gateway")
    config = await registry.config(it.id, it.config.id)
    assert (config.status, config.status_reason) == (ConfigStatus.FAILED, "no gateway")
