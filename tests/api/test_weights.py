"""The weights of several variants at once, defaults of a config, and its pause."""

import pytest

from api.errors import EngineUnreachable
from domain.errors import Conflict
from domain.gates import Metric
from domain.rollout import Action, Rollout
from tests.api.caller import canary
from tests.api.traffic import fields

GATE = {"name": "errors", "metric": "error_rate", "limit": 0.02}


@pytest.fixture
async def three(traffic):
    """stable 70, b 20, c 10."""
    await traffic.add("b", "v2", 20)
    await traffic.add("c", "v3", 10)
    return traffic


@pytest.mark.parametrize(
    ("asked", "then"),
    [
        ({"b": 30}, {"stable": 60, "b": 30, "c": 10}),
        ({"b": 60, "c": 40}, {"stable": 0, "b": 60, "c": 40}),
        ({"b": 0, "c": 0}, {"stable": 100, "b": 0, "c": 0}),
        ({"stable": 50, "b": 30, "c": 20}, {"stable": 50, "b": 30, "c": 20}),
        ({"stable": 80, "b": 10}, {"stable": 80, "b": 10, "c": 10}),
        ({}, {"stable": 70, "b": 20, "c": 10}),
    ],
)
async def test_who_is_not_named_keeps_its_weight_and_stable_takes_the_rest(three, asked, then):
    answer = await three.weigh(**asked)
    assert answer.status_code == 200, answer.text
    assert {v["variant_name"]: v["weight"] for v in answer.json()["variants"]} == then
    assert await three.weights() == then
    assert sum(then.values()) == 100


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({"b": 91}, ["weights"]),
        ({"b": 60, "c": 41}, ["weights"]),
        ({"stable": 70, "b": 21}, ["weights"]),
        ({"stable": 60}, ["weights"]),
        ({"stable": 100, "b": 20, "c": 10}, ["weights"]),
        ({"b": -1}, ["weights.b"]),
        ({"b": 101}, ["weights.b"]),
        ({"b": 10, "nobody": 10}, ["weights.nobody"]),
        ({"b": 101, "nobody": -1}, ["weights.b", "weights.nobody", "weights.nobody"]),
    ],
)
async def test_weights_that_break_a_rule_are_refused_as_a_whole(three, control, asked, where):
    begun = len(control.operations)
    problem = await three.refuses(400, three.weigh(**asked))
    assert problem["type"] == "urn:tidegate:problem:invalid-traffic"
    assert fields(problem) == where
    assert len(control.operations) == begun


@pytest.mark.parametrize("body", [{}, {"weights": []}, {"weights": {"b": "20"}}, {"weight": 1}])
async def test_what_is_no_map_of_whole_numbers_is_refused(three, body):
    await three.refuses(422, three.api.patch(f"{three.path}/weights", body))


async def test_who_loses_all_weight_stands_by(three):
    await three.weigh(b=0)
    assert (await three.variants())["b"]["status"] == "inactive"
    await three.weigh(b=5)
    assert (await three.variants())["b"]["status"] == "active"


async def test_a_paused_config_takes_no_change_but_a_rollback(three):
    await three.patch(paused=True)
    b = f"{three.path}/variants/b"
    for call in (
        three.weigh(b=30),
        three.add("d", "v3", 5),
        three.canary(),
        three.promote("b"),
        three.api.patch(b, {"weight": 1}),
        three.api.delete(b),
        three.api.post(f"{three.path}/rollouts", canary(three.ids["v2"])),
    ):
        assert "paused" in (await three.refuses(409, call))["detail"]
    assert (await three.roll_back()).status_code == 200
    assert await three.weights() == {"stable": 100, "b": 0, "c": 0}


async def test_a_paused_config_can_be_deleted(three):
    await three.patch(paused=True)
    assert (await three.api.delete(three.path)).status_code == 204


async def test_pausing_pauses_the_rollout_that_runs_and_unpausing_resumes_it(traffic, control):
    made = await traffic.api.made(f"{traffic.path}/rollouts", canary(traffic.ids["v2"]))
    for paused in (True, True, False):
        assert (await traffic.patch(paused=paused)).json()["paused"] is paused
    told = [(str(rollout), action) for rollout, action, _ in control.commands]
    assert told == [(made["id"], Action.PAUSE), (made["id"], Action.RESUME)]


async def test_a_rollout_that_has_just_ended_is_no_hindrance_to_a_pause(traffic, control):
    await traffic.api.made(f"{traffic.path}/rollouts", canary(traffic.ids["v2"]))
    control.fail("command", Conflict("it has ended"))
    assert (await traffic.patch(paused=True)).status_code == 200


@pytest.mark.parametrize("paused", [True, False])
async def test_a_pause_that_the_rollout_cannot_be_told_of_is_not_kept_and_a_repeat_tells_it(
    traffic, control, paused
):
    await traffic.api.made(f"{traffic.path}/rollouts", canary(traffic.ids["v2"]))
    await traffic.patch(paused=not paused)
    control.commands.clear()
    control.fail("command", EngineUnreachable())
    await traffic.refuses(503, traffic.patch(paused=paused))
    assert (await traffic.patch(paused=paused)).json()["paused"] is paused
    ((_, action, _),) = control.commands
    assert action is (Action.PAUSE if paused else Action.RESUME)


@pytest.mark.parametrize("field", ["strategy", "paused", "rollback_window_seconds"])
async def test_a_null_is_refused_where_there_must_be_something(traffic, field):
    assert fields(await traffic.refuses(422, traffic.patch(**{field: None}))) == [field]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"strategy": "hope"}, "strategy"),
        ({"rollback_window_seconds": -1}, "rollback_window_seconds"),
        ({"default_gates": [{"name": "g", "metric": "error_rate"}]}, "default_gates.0"),
        ({"default_policies": {"deadline_seconds": 0}}, "default_policies.deadline_seconds"),
        ({"status": "active"}, "status"),
    ],
)
async def test_a_default_that_breaks_a_rule_is_refused(traffic, changes, where):
    assert fields(await traffic.refuses(422, traffic.patch(**changes))) == [where]


async def test_a_rollout_takes_the_configs_defaults_for_what_it_leaves_out(traffic, registry):
    await traffic.patch(default_gates=[GATE], default_policies={"drain_seconds": 7})
    body = canary(traffic.ids["v2"], policies={"probe_interval_seconds": 3})
    await traffic.api.made(f"{traffic.path}/rollouts", body)
    (rollout,) = registry.things[Rollout].values()
    assert [(g.name, g.metric, g.limit) for g in rollout.plan.gates] == [
        ("errors", Metric.ERROR_RATE, 0.02)
    ]
    policies = rollout.plan.policies
    assert policies.drain.total_seconds() == 7
    assert policies.probe_interval.total_seconds() == 3


async def test_a_rollout_that_names_gates_keeps_them(traffic, registry):
    await traffic.patch(default_gates=[GATE])
    own = [{**GATE, "name": "own"}]
    await traffic.api.made(f"{traffic.path}/rollouts", canary(traffic.ids["v2"], gates=own))
    (rollout,) = registry.things[Rollout].values()
    assert [gate.name for gate in rollout.plan.gates] == ["own"]


async def test_a_default_is_taken_away_with_a_null(traffic):
    shown = (await traffic.patch(default_gates=[GATE], default_policies={})).json()
    assert shown["default_gates"][0]["name"] == "errors"
    shown = (await traffic.patch(default_gates=None, default_policies=None)).json()
    assert (shown["default_gates"], shown["default_policies"]) == (None, None)


async def test_a_rollout_waits_until_stable_has_all_traffic(three):
    call = three.api.post(f"{three.path}/rollouts", canary(three.ids["v2"]))
    problem = await three.refuses(409, call)
    assert "shares its traffic" in problem["detail"]


async def test_configs_are_listed_by_strategy_and_status(traffic):
    await traffic.patch(strategy="blue_green")
    for query, total in (
        ("strategy=blue_green", 1),
        ("strategy=canary", 0),
        ("status=active", 1),
        ("status=failed", 0),
    ):
        listed = (await traffic.api.get(f"/traffic_configs?{query}")).json()
        assert listed["total"] == total, query
