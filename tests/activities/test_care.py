"""The caretaker's look: which operations it calls abandoned, and what it begins by itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.care import CARETAKER, START_GRACE, CareActivities
from activities.payloads import MOST_BYTES
from bootstrap.converting import DATA_CONVERTER
from domain.division import Newcomer, added, promoted
from domain.errors import Forbidden, NotFound, Refused, Unreachable
from domain.operations import ChangeKind, Operation, OperationPhase, Subject, traffic_change
from domain.registry import TrafficConfig, VariantStatus
from domain.rollout import Rollout
from tests.fakes.registry import MemoryRegistry
from tests.projects import NOW, a_project, a_rollout

ROUND, SHIFT = timedelta(milliseconds=5), timedelta(seconds=1)
SHORT = ROUND * 8
WINDOW = timedelta(hours=1)


class Runs:
    """Knows what runs. `asked` keeps what it was asked about; `trouble` is raised first."""

    def __init__(self):
        self.running = set()
        self.asked = []
        self.trouble = []

    async def listed(self):
        return frozenset(self.running)

    async def is_running(self, workflow_id):
        if self.trouble:
            raise self.trouble.pop()
        self.asked.append(workflow_id)
        return workflow_id in self.running


class Away:
    """Chores of a registry that does not answer the first looks."""

    def __init__(self, registry, looks, error=Unreachable):
        self.registry, self.looks, self.error = registry, looks, error

    async def running(self):
        return await self._answer(self.registry.running)

    async def due(self):
        return await self._answer(self.registry.due)

    async def _answer(self, ask):
        self.looks -= 1
        if self.looks >= 0:
            raise self.error
        return await ask()


class Place:
    """A project whose traffic config somebody changes."""

    def __init__(self):
        self.it, self.registry, self.runs = a_project(), MemoryRegistry(), Runs()
        self.config = self.it.config

    async def stored(self):
        await self.it.store(self.registry)
        return self

    def with_canary(self):
        new = Newcomer(
            id=uuid4(),
            version_id=self.it.v2.id,
            version_name="v2",
            workload=self.config.workload(self.it.v2).name,
        )
        return added(self.config.variants, new, name="canary", weight=10, now=NOW)

    async def begun(self, **changes):
        """An operation that was stored, long ago unless told otherwise."""
        one = self.config.variants[0]
        after = (replace(one, name="blue"), *self.config.variants[1:])
        versions = [self.it.v1, self.it.v2]
        change = traffic_change(ChangeKind.CHANGE_VARIANT, self.config, after, versions)
        given = {"created_at": datetime.now(UTC) - START_GRACE * 2} | changes
        operation = Operation(
            id=uuid4(),
            project_id=self.config.project_id,
            subject=Subject.TRAFFIC_CONFIG,
            subject_id=self.config.id,
            summary="call it blue",
            change=change,
            actor="ada",
            reason="a test",
            **given,
        )
        await self.registry.begin(operation)
        return operation

    def keeps(self, until):
        """Have v2 be stable, and v1 kept until then."""
        variants = promoted(self.with_canary(), "canary", now=until - WINDOW, window=WINDOW)
        self.config = replace(self.config, variants=variants)
        self.registry.things[TrafficConfig][self.config.id] = self.config

    async def look(self, *, shift=SHIFT, chores=None):
        care = CareActivities(
            chores or self.registry, self.registry, self.runs, shift=shift, every=ROUND
        )
        environment = ActivityEnvironment()
        environment.payload_converter = DATA_CONVERTER.payload_converter
        return await environment.run(care.look)


@pytest.fixture
async def place():
    return await Place().stored()


async def test_an_operation_that_no_run_carries_out_is_told_after_the_second_look(place):
    operation = await place.begun()
    assert await place.look() == (operation,)
    assert place.runs.asked == [operation.workflow_id] * 2


async def test_an_operation_that_runs_is_left_alone(place):
    operation = await place.begun()
    place.runs.running.add(operation.workflow_id)
    assert await place.look(shift=SHORT) == ()
    assert len(place.runs.asked) > 2


async def test_a_run_that_begins_between_two_looks_is_no_longer_suspected(place):
    operation = await place.begun()
    looks = place.runs.is_running

    async def late(workflow_id):
        found = await looks(workflow_id)
        place.runs.running.add(workflow_id)
        return found

    place.runs.is_running = late
    assert await place.look(shift=SHORT) == ()
    assert operation.workflow_id in place.runs.running


async def test_a_row_that_was_just_written_is_given_time_to_start(place):
    await place.begun(created_at=datetime.now(UTC))
    assert await place.look(shift=SHORT) == ()
    assert place.runs.asked == []


async def test_an_operation_that_was_cut_off_while_tidying_is_told_too(place):
    operation = await place.begun()
    place.registry.change(operation, phase=OperationPhase.TIDYING)
    (found,) = await place.look()
    assert (found.id, found.phase) == (operation.id, OperationPhase.TIDYING)


async def test_an_operation_that_has_ended_is_nobodys_business(place):
    operation = await place.begun()
    place.registry.change(operation, phase=OperationPhase.UNDONE)
    assert await place.look(shift=SHORT) == ()


async def test_an_engine_that_cannot_be_asked_makes_nobody_look_abandoned(place):
    await place.begun()
    place.runs.trouble = [Unreachable()] * 1000
    assert await place.look(shift=SHORT) == ()


async def test_one_look_without_an_answer_begins_the_count_anew(place):
    operation = await place.begun()
    looks = place.runs.is_running
    answers = iter([True, False])

    async def every_other(workflow_id):
        if not next(answers, True):
            raise Unreachable
        return await looks(workflow_id)

    place.runs.is_running = every_other
    assert await place.look() == (operation,)
    assert len(place.runs.asked) == 3


async def test_who_was_kept_long_enough_is_begun_to_be_retired(place):
    place.keeps(until=datetime.now(UTC) - timedelta(seconds=1))
    (operation,) = await place.look()
    assert (operation.change.kind, operation.actor) == (ChangeKind.RETIRE, CARETAKER)
    assert operation.summary == "retire old-stable-1"
    assert [v.name for v in operation.change.leaving] == ["old-stable-1"]
    (retired,) = [v for v in operation.change.after if not v.holds_slot]
    assert retired.status is VariantStatus.RETIRED
    assert await place.registry.running() == (operation,)


async def test_who_is_still_kept_stays(place):
    place.keeps(until=datetime.now(UTC) + timedelta(seconds=30))
    assert await place.look(shift=SHORT) == ()


@pytest.mark.parametrize("busy", ["operation", "rollout"])
async def test_a_config_that_is_changed_just_now_has_time(place, busy):
    place.keeps(until=datetime.now(UTC) - timedelta(seconds=1))
    if busy == "rollout":
        rollout = a_rollout(place.it.plan)
        place.registry.things[Rollout][rollout.id] = rollout
    else:
        operation = await place.begun()
        place.runs.running.add(operation.workflow_id)
    assert await place.look(shift=SHORT) == ()


async def test_a_change_that_comes_between_is_left_to_itself(place):
    """The config was due, and somebody else changes it before the retirement begins."""
    place.keeps(until=datetime.now(UTC) - timedelta(seconds=1))
    due = await place.registry.due()
    place.registry.change(place.config, variants=place.it.config.variants)

    class Late:
        async def running(self):
            return ()

        async def due(self):
            return due

    assert await place.look(shift=SHORT, chores=Late()) == ()
    assert await place.registry.running() == ()


async def test_a_paused_config_keeps_whom_it_has(place):
    place.keeps(until=datetime.now(UTC) - timedelta(seconds=1))
    place.registry.change(place.config, paused=True)
    assert await place.look(shift=SHORT) == ()


async def test_of_very_many_operations_a_look_returns_what_one_payload_carries(place):
    one = await place.begun()
    many = [replace(one, id=uuid4()) for _ in range(600)]

    class Many:
        async def running(self):
            return many

        async def due(self):
            return ()

    found = await place.look(chores=Many())
    (payload,) = DATA_CONVERTER.payload_converter.to_payloads([found])
    assert payload.ByteSize() <= MOST_BYTES
    assert found == tuple(many[: len(found)])
    assert 0 < len(found) < len(many)


async def test_a_registry_that_is_away_is_asked_again(place):
    operation = await place.begun()
    assert await place.look(chores=Away(place.registry, looks=6)) == (operation,)


@pytest.mark.parametrize("error", [Forbidden, Refused])
async def test_a_look_that_is_turned_away_is_followed_by_the_next(place, error):
    operation = await place.begun()
    chores = Away(place.registry, looks=6, error=error)
    assert await place.look(chores=chores) == (operation,)


async def test_a_config_that_cannot_be_retired_holds_up_no_other(place):
    place.keeps(until=datetime.now(UTC) - timedelta(seconds=1))
    (due,) = await place.registry.due()
    broken = replace(due, id=uuid4(), variants=place.it.config.variants)
    versions = place.registry.version

    class Both:
        async def running(self):
            return ()

        async def due(self):
            return broken, due

    async def version(project_id, version_id):
        if not asked:
            asked.append(version_id)
            raise NotFound("there is no such version")
        return await versions(project_id, version_id)

    asked = []
    place.registry.version = version
    (operation,) = await place.look(chores=Both())
    assert operation.subject_id == due.id
