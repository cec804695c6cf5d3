"""One-shot changes behind the calls: who is busy, what was undone and why, what goes on."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from api.errors import EngineUnreachable
from domain.errors import AlreadyRunning, Unreachable
from domain.operations import Ending, OperationPhase
from domain.registry import TrafficConfig
from tests.api.caller import PREFIX, canary
from tests.api.staging import change
from workflows.messages import OperationView

TRIES = 20  # more than are made


def undone(problem):
    return Ending(phase=OperationPhase.UNDONE, problem=problem, detail="it said no")


@pytest.mark.parametrize(
    ("problem", "status", "slug"),
    [
        ("WorkloadFailed", 502, "workload-failed"),
        ("Refused", 502, "refused"),
        ("InvalidSpec", 502, "refused"),
        ("Forbidden", 403, "forbidden"),
        ("Conflict", 409, "conflict"),
        ("AlreadyExists", 409, "conflict"),
        ("FencedOut", 409, "conflict"),
        ("Cancelled", 409, "conflict"),
        ("NotSettled", 504, "not-settled"),
        ("Unreachable", 503, "cluster-unreachable"),
        ("NotYet", 503, "cluster-unreachable"),
        (None, 503, "cluster-unreachable"),
    ],
)
async def test_what_could_not_be_done_is_answered_with_why(traffic, control, problem, status, slug):
    before = await traffic.config()
    control.ending = undone(problem)
    answer = await traffic.canary()
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert told["type"] == f"urn:tidegate:problem:{slug}"
    assert told["detail"] == "it said no; what was begun is taken back"
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert await traffic.config() == before
    (operation,) = (await traffic.api.get("/operations")).json()["items"]
    assert (operation["phase"], operation["problem"]) == ("undone", problem)


async def test_what_is_not_done_in_time_goes_on_and_can_be_followed(traffic, control):
    control.ending, control.view = None, OperationView(doing="bringing up 1")
    answer = await traffic.canary()
    assert answer.status_code == 504
    told = answer.json()
    assert told["type"] == "urn:tidegate:problem:unfinished"
    assert "bringing up 1" in told["detail"]
    (operation,) = (await traffic.api.get("/operations")).json()["items"]
    assert told["running"] == {
        "operation_id": operation["id"],
        "phase": "running",
        "href": f"{PREFIX}/operations/{operation['id']}",
    }
    followed = await traffic.api.get(told["running"]["href"].removeprefix(PREFIX))
    assert followed.json() == operation


async def test_what_is_not_done_in_time_and_cannot_be_asked_is_named_by_what_was_wished(
    traffic, control
):
    control.ending = None
    answer = await traffic.canary()
    assert (answer.status_code, "start a canary of v2" in answer.json()["detail"]) == (504, True)


async def test_what_is_being_undone_is_answered_with_why_though_it_goes_on(traffic, control):
    control.ending = None
    control.view = OperationView(
        doing="going back", problem="WorkloadFailed", detail="no such file"
    )
    answer = await traffic.canary()
    assert (answer.status_code, answer.json()["type"]) == (
        502,
        "urn:tidegate:problem:workload-failed",
    )
    assert "no such file" in answer.json()["detail"]


async def test_a_config_that_an_operation_changes_is_busy_and_the_operation_is_named(
    traffic, control
):
    control.ending = None
    running = (await traffic.canary()).json()["running"]
    for call in (
        traffic.add("b", "v3", 10),
        traffic.canary("v3"),
        traffic.api.post(f"{traffic.path}/rollouts", canary(traffic.ids["v2"])),
        traffic.api.delete(traffic.path),
    ):
        problem = await traffic.refuses(409, call)
        assert problem["type"] == "urn:tidegate:problem:already-running"
        assert problem["running"] == running


async def test_a_config_that_a_rollout_changes_is_busy_and_the_rollout_is_named(traffic, control):
    made = await traffic.api.made(f"{traffic.path}/rollouts", canary(traffic.ids["v2"]))
    for call in (
        traffic.add("b", "v3", 10),
        traffic.canary("v3"),
        traffic.api.delete(traffic.path),
    ):
        problem = await traffic.refuses(409, call)
        assert problem["running"] == {
            "rollout_id": made["id"],
            "phase": "pending",
            "href": f"{PREFIX}/rollouts/{made['id']}",
        }
    assert control.operations == []


async def test_nothing_is_stored_while_the_engine_is_down(traffic, control):
    control.fail("ready", EngineUnreachable())
    problem = await traffic.refuses(503, traffic.canary())
    assert problem["type"] == "urn:tidegate:problem:engine-unreachable"


async def test_a_change_is_proposed_anew_where_another_one_came_between(traffic, outage, registry):
    """Between the look at the config and the beginning, somebody else adds a variant."""
    await traffic.add("b", "v3", 20)

    async def weighed_by_another():
        config = registry.things[TrafficConfig][UUID(traffic.ids["config"])]
        stable, b = config.variants
        moved = {"stable": 60, "b": 40}
        change(
            registry,
            TrafficConfig,
            config.id,
            variants=tuple(_with(v, moved[v.name]) for v in (stable, b)),
        )

    outage.then("version", weighed_by_another)
    answer = await traffic.canary()
    assert answer.status_code == 200, answer.text
    assert await traffic.weights() == {"stable": 50, "b": 40, "canary": 10}


async def test_a_rule_that_no_longer_holds_at_the_second_look_refuses(traffic, outage, registry):
    await traffic.add("b", "v3", 20)

    async def weighed_by_another():
        config = registry.things[TrafficConfig][UUID(traffic.ids["config"])]
        stable, b = config.variants
        change(registry, TrafficConfig, config.id, variants=(_with(stable, 5), _with(b, 95)))

    outage.then("version", weighed_by_another)
    answer = await traffic.canary()
    assert answer.status_code == 400, answer.text
    assert await traffic.weights() == {"stable": 5, "b": 95}


async def test_an_operation_starts_behind_a_workflow_that_is_about_to_close(traffic, control):
    control.fail("start_operation", AlreadyRunning(), AlreadyRunning())
    assert (await traffic.canary()).status_code == 200
    assert await traffic.weights() == {"stable": 90, "canary": 10}


async def test_an_operation_that_never_starts_is_forgotten_and_the_call_refused(traffic, control):
    control.fail("start_operation", *[AlreadyRunning("another change is running")] * TRIES)
    problem = await traffic.refuses(409, traffic.canary())
    assert problem["type"] == "urn:tidegate:problem:already-running"
    assert "running" not in problem


async def test_a_database_that_fails_says_that_nothing_was_changed(traffic, outage):
    outage.error = Unreachable("connection refused at 10.0.0.7")
    answer = await traffic.canary()
    outage.error = None
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "10.0.0.7" not in answer.text
    assert await traffic.weights() == {"stable": 100}


async def test_of_many_changes_at_one_moment_the_weights_still_sum_to_100(traffic, control):
    calls = [traffic.add(f"b{i}", version, 10) for i in range(4) for version in ("v2", "v3")]
    answers = await asyncio.gather(*calls)
    assert {a.status_code for a in answers} <= {201, 409}
    assert sum((await traffic.weights()).values()) == 100


async def test_operations_are_listed_newest_first_and_by_their_subject(traffic, api):
    await traffic.canary()
    await traffic.roll_back()
    listed = (await api.get(f"/operations?subject_id={traffic.ids['config']}")).json()
    assert [o["kind"] for o in listed["items"]] == ["roll_back", "add_variant"]
    assert {o["subject"] for o in listed["items"]} == {"traffic_config"}
    assert listed["items"][0]["summary"] == "send all traffic back"
    assert (await api.get(f"/operations?subject_id={uuid4()}")).json()["total"] == 0
    page = (await api.get("/operations?limit=1")).json()
    assert (len(page["items"]), page["total"], page["next_offset"]) == (1, 2, 1)


async def test_an_operation_tells_where_to_watch_it(traffic):
    operation = (await traffic.canary()).json()["operation"]
    assert f"traffic-{traffic.ids['config']}" in operation["temporal_ui"]
    assert (await traffic.api.get(f"/operations/{operation['id']}")).json() == operation


async def test_an_unknown_operation_is_not_found(api):
    assert (await api.get(f"/operations/{uuid4()}")).status_code == 404


def _with(variant, weight):
    return replace(variant, weight=weight, updated_at=datetime.now(UTC))
