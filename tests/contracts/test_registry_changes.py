"""The port Registry: what is there is changed as it was read, and deleted when nothing uses it."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.errors import AlreadyExists, Conflict, InUse, NotFound, Outdated
from domain.ports import Page
from domain.registry import ServiceState
from domain.serving import own_workload, served
from tests.projects import (
    NOW,
    a_config,
    a_model,
    a_project,
    a_service,
    a_version,
    an_entry,
    an_environment,
)

ALL = Page(limit=50, offset=0)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
async def it(registry):
    return await a_project().store(registry)


@pytest.fixture
async def idle(registry, it):
    """A second service of the project, which has no traffic config."""
    service = a_service(it.environment, it.v1, name="idle")
    await registry.create_service(service)
    return service


def several(it):
    return a_service(it.environment, it.v1, name="several", served_models=served((it.v2, it.v1)))


async def test_what_was_changed_comes_back_as_it_is_now(registry, it):
    model = replace(it.model, name="talk", description="talks", updated_at=LATER)
    version = replace(it.v2, description="better", updated_at=LATER)
    environment = replace(it.environment, description="ours", updated_at=LATER)
    await registry.change_model(it.model, model)
    await registry.change_version(it.v2, version)
    await registry.change_environment(it.environment, environment)
    assert await registry.model(it.id, it.model.id) == model
    assert await registry.version(it.id, it.v2.id) == version
    assert await registry.environment(it.id, it.environment.id) == environment


async def test_a_service_comes_back_with_its_versions_in_order(registry, it):
    service = several(it)
    await registry.create_service(service)
    assert await registry.service(it.id, service.id) == service
    assert service in (await registry.services(it.id, ALL))[0]
    turned = replace(
        service,
        served_models=served((it.v1, it.v3, it.v2)),
        description="of three",
        desired_state=ServiceState.UNDEPLOYED,
        current_state=ServiceState.UNDEPLOYING,
        state_reason="because",
        leaving=(own_workload(service, "prod", (it.v2, it.v1)),),
        updated_at=LATER,
    )
    await registry.change_service(service, turned, unused=True)
    assert await registry.service(it.id, service.id) == turned


async def test_of_two_changes_of_what_was_read_once_the_second_is_outdated(registry, it, idle):
    for change, before in (
        (registry.change_model, it.model),
        (registry.change_version, it.v1),
        (registry.change_environment, it.environment),
    ):
        await change(before, replace(before, description="first", updated_at=LATER))
        with pytest.raises(Outdated):
            await change(before, replace(before, description="second", updated_at=LATER))
    after = replace(idle, description="first", updated_at=LATER)
    await registry.change_service(idle, after, unused=False)
    with pytest.raises(Outdated):
        await registry.change_service(idle, replace(idle, updated_at=LATER), unused=False)
    assert (await registry.service(it.id, idle.id)).description == "first"


async def test_of_many_changes_at_once_one_wins(registry, it, idle):
    changes = [
        replace(idle, description=f"{i}", updated_at=LATER + timedelta(seconds=i)) for i in range(8)
    ]
    done = await asyncio.gather(
        *(registry.change_service(idle, change, unused=True) for change in changes),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Outdated) for one in done) == 7


async def test_what_another_project_has_cannot_be_changed(registry, it, idle):
    stranger = uuid4()
    for change, before in (
        (registry.change_model, it.model),
        (registry.change_version, it.v1),
        (registry.change_environment, it.environment),
    ):
        theirs = replace(before, project_id=stranger)
        with pytest.raises(Outdated):
            await change(theirs, replace(theirs, description="mine"))
    for delete, its_id in (
        (registry.delete_model, it.model.id),
        (registry.delete_version, it.v3.id),
        (registry.delete_environment, it.environment.id),
    ):
        with pytest.raises(NotFound):
            await delete(stranger, its_id)
    with pytest.raises(Outdated):
        await registry.delete_service(replace(idle, project_id=stranger))
    assert await registry.version(it.id, it.v3.id) == it.v3


async def test_a_name_that_is_taken_cannot_be_taken_again(registry, it):
    await registry.create_model(a_model(it.id, name="other"))
    await registry.create_environment(an_environment(it.id, name="other"))
    with pytest.raises(AlreadyExists, match="'other'"):
        await registry.change_model(it.model, replace(it.model, name="other"))
    mapped = replace(it.environment, name="other", external_id="prod")
    with pytest.raises(AlreadyExists, match="'other'"):
        await registry.change_environment(it.environment, mapped)


@pytest.mark.parametrize("change", [{"name": "other"}, {"external_id": "other"}])
async def test_a_namespace_stays_while_a_service_stands_in_it(registry, it, change):
    after = replace(it.environment, **change, updated_at=LATER)
    with pytest.raises(InUse, match=rf"inference service 'chat' \({it.service.id}\)"):
        await registry.change_environment(it.environment, after)
    assert await registry.environment(it.id, it.environment.id) == it.environment


async def test_a_name_that_is_not_the_namespace_may_change(registry, it):
    mapped = an_environment(it.id, name="Berlin", external_id="ns-1")
    await registry.create_environment(mapped)
    await registry.create_service(a_service(mapped, it.v1, name="there"))
    after = replace(mapped, name="Paris", updated_at=LATER)
    await registry.change_environment(mapped, after)
    assert (await registry.environment(it.id, mapped.id)).namespace == "ns-1"


async def test_the_namespace_of_an_empty_environment_may_change(registry, it):
    empty = an_environment(it.id, name="empty")
    await registry.create_environment(empty)
    after = replace(empty, external_id="ns-2", updated_at=LATER)
    await registry.change_environment(empty, after)
    assert await registry.environment(it.id, empty.id) == after


async def test_what_is_in_use_is_not_deleted_and_the_user_is_named(registry, it):
    service = a_service(it.environment, it.v3, name="reader")
    await registry.create_service(service)
    with pytest.raises(InUse, match=r"is still used by (inference service|model version) '"):
        await registry.delete_model(it.id, it.model.id)
    with pytest.raises(InUse, match=rf"is still used by inference service 'reader' \({service.id}"):
        await registry.delete_version(it.id, it.v3.id)
    with pytest.raises(InUse, match="is still used by inference service '"):
        await registry.delete_environment(it.id, it.environment.id)
    with pytest.raises(InUse, match=rf"is still used by traffic config of 'chat' \({it.config.id}"):
        await registry.delete_service(it.service)
    assert await registry.service(it.id, it.service.id) == it.service


async def test_a_version_that_only_a_variant_uses_is_in_use(registry, journal, it):
    rollout = await it.start(registry)
    await journal.record(rollout.id, [an_entry("join", joined=it.plan.candidate)])
    with pytest.raises(InUse, match="traffic config of 'chat'"):
        await registry.delete_version(it.id, it.v2.id)


async def test_what_nothing_uses_is_deleted_once(registry, it, idle):
    empty = an_environment(it.id, name="empty")
    model = a_model(it.id, name="other")
    await registry.create_environment(empty)
    await registry.create_model(model)
    await registry.delete_service(idle)
    for delete, its_id in (
        (registry.delete_version, it.v3.id),
        (registry.delete_environment, empty.id),
        (registry.delete_model, model.id),
    ):
        await delete(it.id, its_id)
        with pytest.raises(NotFound):
            await delete(it.id, its_id)
    with pytest.raises(Outdated):
        await registry.delete_service(idle)
    with pytest.raises(NotFound):
        await registry.service(it.id, idle.id)


async def test_a_deleted_service_lets_its_versions_go(registry, it):
    service = a_service(it.environment, it.v3, name="reader")
    await registry.create_service(service)
    await registry.delete_service(service)
    await registry.delete_version(it.id, it.v3.id)


async def test_a_service_that_has_changed_is_not_deleted(registry, it, idle):
    after = replace(idle, description="new", updated_at=LATER)
    await registry.change_service(idle, after, unused=True)
    with pytest.raises(Outdated):
        await registry.delete_service(idle)
    assert await registry.service(it.id, idle.id) == after


async def test_a_service_with_a_traffic_config_keeps_what_it_needs(registry, it):
    after = replace(it.service, desired_state=ServiceState.UNDEPLOYED, updated_at=LATER)
    with pytest.raises(InUse, match="traffic config of 'chat'"):
        await registry.change_service(it.service, after, unused=True)
    described = replace(it.service, description="new", updated_at=LATER)
    await registry.change_service(it.service, described, unused=False)
    assert await registry.service(it.id, it.service.id) == described


async def test_a_version_of_another_project_is_not_served(registry, it, idle):
    other = await a_project().store(registry)
    stolen = replace(idle, served_models=served((it.v1, other.v1)), updated_at=LATER)
    with pytest.raises(NotFound):
        await registry.change_service(idle, stolen, unused=True)
    assert await registry.service(it.id, idle.id) == idle


async def test_a_config_is_of_a_service_that_is_to_be_deployed(registry, it, idle):
    down = replace(idle, desired_state=ServiceState.UNDEPLOYED, updated_at=LATER)
    await registry.change_service(idle, down, unused=True)
    with pytest.raises(Conflict, match="undeployed"):
        await registry.create_config(a_config(it.environment, down, it.v1))


async def test_the_stable_version_of_a_config_is_served(registry, it):
    service = several(it)
    await registry.create_service(service)
    with pytest.raises(Outdated):
        await registry.create_config(a_config(it.environment, service, it.v3))
    await registry.create_config(a_config(it.environment, service, it.v2))


async def test_a_config_and_the_end_of_its_service_do_not_both_happen(registry, it):
    """Whichever is first, the other is refused."""
    for number in range(6):
        service = a_service(it.environment, it.v1, name=f"s{number}")
        await registry.create_service(service)
        down = replace(service, desired_state=ServiceState.UNDEPLOYED, updated_at=LATER)
        done = await asyncio.gather(
            registry.create_config(a_config(it.environment, service, it.v1)),
            registry.change_service(service, down, unused=True),
            return_exceptions=True,
        )
        assert sum(isinstance(one, Conflict) for one in done) == 1, done


async def test_versions_and_services_can_be_narrowed(registry, it):
    other = a_model(it.id, name="other")
    await registry.create_model(other)
    namesake = a_version(other, name="v1")
    await registry.create_version(namesake)
    down = a_service(
        it.environment,
        namesake,
        name="down",
        desired_state=ServiceState.UNDEPLOYED,
        current_state=ServiceState.FAILED,
    )
    await registry.create_service(down)
    for found, wanted in (
        (await registry.versions(it.id, ALL, name="v2"), {it.v2.id}),
        (await registry.versions(it.id, ALL, name="v1"), {it.v1.id, namesake.id}),
        (await registry.versions(it.id, ALL, name="v1", model_id=other.id), {namesake.id}),
        (await registry.services(it.id, ALL, name="down"), {down.id}),
        (await registry.services(it.id, ALL, model_id=it.model.id), {it.service.id}),
        (await registry.services(it.id, ALL, desired_state=ServiceState.UNDEPLOYED), {down.id}),
        (await registry.services(it.id, ALL, current_state=ServiceState.FAILED), {down.id}),
        (await registry.services(it.id, ALL, name="down", model_id=it.model.id), set()),
    ):
        assert ({thing.id for thing in found[0]}, found[1]) == (wanted, len(wanted))
