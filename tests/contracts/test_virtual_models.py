"""The part of the port Registry that knows the virtual models."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.errors import AlreadyExists, AlreadyRunning, NotFound, Outdated
from domain.operations import Ending, Operation, OperationPhase, Subject
from domain.ports import Page
from domain.virtual_models import (
    BackendWish,
    VirtualChangeKind,
    VirtualModelChange,
    added,
    changed,
    without,
)
from tests.projects import NOW, a_project, a_virtual_model

ALL = Page(limit=50, offset=0)
DONE = Ending(phase=OperationPhase.DONE)
UNDONE = Ending(phase=OperationPhase.UNDONE, problem="NotSettled", detail="still the old ones")


def with_backend(model, name="aws", override=None, **more):
    wish = BackendWish(name=name, namespace="tidegate", model_name_override=override, **more)
    return added(model.backends, wish, backend_id=uuid4(), now=NOW)


def an_operation(model, after, kind=VirtualChangeKind.ADD_BACKEND, **changes):
    change = VirtualModelChange(kind=kind, route=model.route, before=model.backends, after=after)
    given = {"id": uuid4(), "project_id": model.project_id, "created_at": NOW, **changes}
    return Operation(
        actor="ada",
        reason="a test",
        subject=Subject.VIRTUAL_MODEL,
        subject_id=model.id,
        summary=f"{kind} of {model.name}",
        change=change,
        **given,
    )


async def done(registry, journal, operation):
    await registry.begin(operation)
    await journal.operation_ended(operation.id, DONE)


@pytest.fixture
async def model(registry):
    made = a_virtual_model(uuid4())
    await registry.create_virtual_model(made)
    return made


async def test_what_was_stored_comes_back_as_it_was(registry):
    model = a_virtual_model(uuid4(), name="meta/llama-3.1", description="across providers")
    await registry.create_virtual_model(model)

    assert await registry.virtual_model(model.project_id, "meta/llama-3.1") == model


async def test_one_of_another_project_is_not_found(registry):
    model = a_virtual_model(uuid4())
    await registry.create_virtual_model(model)

    stranger = uuid4()
    with pytest.raises(NotFound):
        await registry.virtual_model(stranger, model.name)
    with pytest.raises(NotFound):
        await registry.describe_virtual_model(stranger, model.id, "mine", NOW)
    found, total = await registry.virtual_models(stranger, ALL)
    assert (list(found), total) == ([], 0)


async def test_the_newest_is_listed_first(registry):
    project = uuid4()
    models = [
        a_virtual_model(project, created_at=NOW + timedelta(seconds=number)) for number in range(3)
    ]
    for model in models:
        await registry.create_virtual_model(model)

    found, total = await registry.virtual_models(project, Page(limit=2, offset=0))
    assert (list(found), total) == ([models[2], models[1]], 3)
    found, total = await registry.virtual_models(project, Page(limit=2, offset=2))
    assert (list(found), total) == ([models[0]], 3)
    found, total = await registry.virtual_models(project, ALL, name=models[1].name)
    assert (list(found), total) == ([models[1]], 1)


async def test_a_name_is_taken_for_all_projects_of_the_gateway(registry):
    model = a_virtual_model(uuid4())
    await registry.create_virtual_model(model)

    with pytest.raises(AlreadyExists, match="taken on this gateway"):
        await registry.create_virtual_model(a_virtual_model(uuid4(), name=model.name))


async def test_a_model_whose_traffic_is_divided_keeps_its_name(registry):
    it = await a_project().store(registry)

    with pytest.raises(AlreadyExists, match="taken on this gateway"):
        await registry.create_virtual_model(a_virtual_model(uuid4(), name=it.service.name))


async def test_a_virtual_model_keeps_its_name_from_other_traffic(registry):
    it = a_project()
    await registry.create_virtual_model(a_virtual_model(uuid4(), name=it.service.name))

    with pytest.raises(AlreadyExists, match="taken on this gateway"):
        await it.store(registry)


async def test_a_description_is_all_that_changes_without_an_operation(registry):
    model = a_virtual_model(uuid4())
    await registry.create_virtual_model(model)

    later = NOW + timedelta(hours=1)
    await registry.describe_virtual_model(model.project_id, model.id, "new words", later)
    expected = replace(model, description="new words", updated_at=later)
    assert await registry.virtual_model(model.project_id, model.name) == expected


async def test_an_operation_comes_back_as_it_was_begun(registry, model):
    operation = an_operation(model, with_backend(model, override="a@1"))
    await registry.begin(operation)

    assert await registry.operation(model.project_id, operation.id) == operation
    assert operation.workflow_id == f"virtual-model-{model.id}"
    assert await registry.virtual_model(model.project_id, model.name) == model


async def test_what_is_done_changes_the_backends(registry, journal, model):
    first = with_backend(model, override="a@1", weight=0, priority=1)
    await done(registry, journal, an_operation(model, first))
    stored = await registry.virtual_model(model.project_id, model.name)
    assert stored.backends == first

    both = with_backend(stored, "gcp")
    await done(registry, journal, an_operation(stored, both))
    stored = await registry.virtual_model(model.project_id, model.name)
    weightier = changed(
        both, both[1], weight=7, priority=2, model_name_override="g", now=NOW + timedelta(days=1)
    )
    await done(registry, journal, an_operation(stored, weightier))
    stored = await registry.virtual_model(model.project_id, model.name)
    assert stored.backends == weightier

    rest = without(weightier, weightier[0])
    await done(registry, journal, an_operation(stored, rest))
    assert (await registry.virtual_model(model.project_id, model.name)).backends == rest


async def test_what_is_undone_changes_nothing(registry, journal, model):
    operation = an_operation(model, with_backend(model))
    await registry.begin(operation)
    await journal.operation_ended(operation.id, UNDONE)

    assert await registry.virtual_model(model.project_id, model.name) == model


async def test_a_second_change_at_a_time_is_refused(registry, model):
    await registry.begin(an_operation(model, with_backend(model)))
    with pytest.raises(AlreadyRunning):
        await registry.begin(an_operation(model, with_backend(model, "gcp")))


async def test_a_change_of_what_is_no_longer_so_is_outdated(registry, journal, model):
    await done(registry, journal, an_operation(model, with_backend(model)))
    with pytest.raises(Outdated):
        await registry.begin(an_operation(model, with_backend(model, "gcp")))


async def test_a_deleted_model_is_gone_and_its_name_is_free(registry, journal, model):
    operation = an_operation(model, (), VirtualChangeKind.DELETE_VIRTUAL_MODEL)
    await done(registry, journal, operation)

    with pytest.raises(NotFound):
        await registry.virtual_model(model.project_id, model.name)
    await registry.create_virtual_model(a_virtual_model(uuid4(), name=model.name))
    assert (await registry.operation(model.project_id, operation.id)).phase == "done"


async def test_a_change_in_the_name_of_another_project_is_not_found(registry, model):
    operation = an_operation(model, with_backend(model), project_id=uuid4())
    with pytest.raises(NotFound):
        await registry.begin(operation)
