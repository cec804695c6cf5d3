"""Templates among the defaults of a traffic config: named there, looked up by each rollout."""

from datetime import UTC, datetime

import pytest

from domain.rollout import Phase, Rollout
from tests.api.caller import canary, service_of
from tests.api.staging import change
from tests.api.traffic import Traffic

OWN = {"name": "own", "metric": "error_rate", "limit": 0.1}
LIMIT = {"name": "limit", "type": "number", "default": 0.02}


def slo(limit="{{args.limit}}"):
    gate = {"name": "errors", "metric": "error_rate", "limit": limit}
    arguments = [LIMIT] if isinstance(limit, str) else []
    return {"name": "slo", "arguments": arguments, "gates": [gate]}


def use(**changes):
    return {"name": "slo", **changes}


def errors(answer):
    assert answer.status_code == 422, answer.text
    return {one["field"]: one["rule"] for one in answer.json()["errors"]}


@pytest.fixture
async def traffic(api):
    await api.made("/gate_templates", slo())
    return Traffic(api, await api.served())


@pytest.fixture
def preview(traffic):
    async def ask(**changes):
        body = canary(traffic.ids["v2"], dry_run=True, **changes)
        return await traffic.api.post(f"{traffic.path}/rollouts", body)

    return ask


@pytest.fixture
def names(preview):
    """The names of the gates of a rollout's plan, and the templates that it pinned."""

    async def read(**changes):
        plan = (await preview(**changes)).json()["plan"]
        return [gate["name"] for gate in plan["gates"]], [p["name"] for p in plan["gate_templates"]]

    return read


async def test_a_config_shows_the_templates_that_it_names_as_they_were_named(traffic):
    wish = [use(version=1, scope="project", arguments={"limit": 0.5}), use()]
    shown = (await traffic.patch(default_gate_templates=wish[:1])).json()
    assert shown["default_gate_templates"] == wish[:1]
    shown = (await traffic.patch(default_gate_templates=wish[1:])).json()
    assert shown["default_gate_templates"] == [
        {"name": "slo", "version": None, "scope": None, "arguments": {}}
    ]
    assert (await traffic.config())["default_gate_templates"] == shown["default_gate_templates"]


async def test_a_config_can_be_created_with_templates(traffic):
    api, model = traffic.api, {"name": "other", "model_version_ids": [traffic.ids["v1"]]}
    service = await api.made("/inference_services", service_of(traffic.ids, **model))
    body = {"inference_service_id": service["id"], "default_gate_templates": [use(version=1)]}
    broken = body | {"default_gate_templates": [use(version=2)]}
    refused = errors(await api.post("/traffic_configs", broken))
    assert refused == {"default_gate_templates.0.version": "the gate template 'slo' has no version 2; its latest is 1"}  # fmt: skip
    made = await api.made("/traffic_configs", body)
    assert made["default_gate_templates"][0]["version"] == 1


@pytest.mark.parametrize("none", [None, []])
async def test_a_null_takes_the_templates_away(traffic, names, none):
    await traffic.patch(default_gate_templates=[use()])
    shown = (await traffic.patch(default_gate_templates=none)).json()
    assert shown["default_gate_templates"] == []
    gates, pins = await names()
    assert ("errors" in gates, pins) == (True, [])


async def test_a_rollout_that_names_no_gates_takes_both_kinds_of_default(traffic, names):
    await traffic.patch(default_gates=[OWN], default_gate_templates=[use()])
    assert await names() == (["own", "errors"], ["slo"])


async def test_beside_default_templates_no_gates_of_ours_hold(traffic, preview):
    await traffic.patch(default_gate_templates=[use()])
    (gate,) = (await preview()).json()["plan"]["gates"]
    assert (gate["name"], gate["limit"], gate["against_stable"]) == ("errors", 0.02, None)


async def test_a_rollout_that_names_gates_or_templates_takes_no_default(traffic, names):
    await traffic.patch(default_gates=[OWN], default_gate_templates=[use()])
    named = {**OWN, "name": "named"}
    await traffic.api.made("/gate_templates", {**slo(), "name": "second"})
    assert await names(gates=[named]) == (["named"], [])
    assert await names(gates=[]) == ([], [])
    assert await names(gate_templates=[use(name="second")]) == (["errors"], ["second"])


@pytest.mark.parametrize(("version", "limits"), [(None, [0.02, 0.5]), (1, [0.02, 0.02])])
async def test_a_new_version_counts_from_the_next_rollout_on_unless_one_is_named(
    traffic, preview, version, limits
):
    await traffic.patch(default_gate_templates=[use(version=version)])
    first = (await preview()).json()["plan"]
    await traffic.api.made("/gate_templates", slo(0.5))
    second = (await preview()).json()["plan"]
    assert [plan["gates"][0]["limit"] for plan in (first, second)] == limits
    assert second["gate_templates"][0]["version"] == (version or 2)


async def test_a_rollout_keeps_the_versions_that_it_started_with(traffic, registry, control):
    await traffic.patch(default_gate_templates=[use(arguments={"limit": 0.05})])
    made = await traffic.api.made(f"{traffic.path}/rollouts", canary(traffic.ids["v2"]))
    await traffic.api.made("/gate_templates", slo(0.5))

    plan = (await traffic.api.get(f"/rollouts/{made['id']}")).json()["plan"]
    assert plan["gate_templates"] == [
        {"name": "slo", "scope": "project", "version": 1, "arguments": {"limit": 0.05}}
    ]
    assert plan["gates"][0]["limit"] == 0.05
    ended = {"phase": Phase.ROLLED_BACK, "phase_reason": "errors", "ended_at": datetime.now(UTC)}
    change(registry, Rollout, made["id"], **ended)
    control.running.clear()
    assert (await traffic.api.made(f"/rollouts/{made['id']}/retry", {}))["plan"] == plan


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"name": "none"}, "0.name", "'none' is no gate template that there is"),
        ({"version": 9}, "0.version", "has no version 9; its latest is 1"),
        ({"arguments": {"limit": "x"}}, "0.arguments.limit", "must be a number"),
        ({"arguments": {"limit": 3}}, "0.gates.0.limit", "must be a fraction of requests"),
        ({"arguments": {"other": 1}}, "0.arguments.other", "which has: limit"),
        ({"name": 1}, "0.name", "valid string"),
    ],
)
async def test_a_template_that_does_not_fit_is_refused_where_it_is_named(
    traffic, changes, field, rule
):
    call = traffic.patch(default_gate_templates=[use(**changes)], default_gates=[OWN])
    (told,) = (await traffic.refuses(422, call))["errors"]
    assert told["field"] == f"default_gate_templates.{field}"
    assert rule in told["rule"]


async def test_names_are_unique_among_default_gates_and_templates(traffic):
    call = traffic.patch(default_gate_templates=[use()], default_gates=[{**OWN, "name": "errors"}])
    assert errors(await call) == {
        "default_gate_templates.0.gates.0.name": "'errors' names another gate already"
    }
    await traffic.patch(default_gate_templates=[use()])
    again = await traffic.patch(default_gates=[{**OWN, "name": "errors"}])
    assert errors(again).keys() == {"default_gate_templates.0.gates.0.name"}
    broken = await traffic.patch(default_gates=[{**OWN, "limit": 2}])
    assert errors(broken).keys() == {"default_gates.0.limit"}


async def test_default_gates_of_both_kinds_are_counted_together(traffic):
    own = [{**OWN, "name": f"g{i}"} for i in range(20)]
    call = traffic.patch(default_gate_templates=[use()], default_gates=own)
    assert errors(await call) == {"default_gates": "must be at most 20"}


async def test_a_retired_default_template_refuses_rollouts_and_holds_up_no_pause(traffic, preview):
    await traffic.patch(default_gate_templates=[use()])
    await traffic.api.patch("/gate_templates/slo", {"retired": True})

    rule = errors(await preview())["default_gate_templates.0.name"]
    assert rule.startswith("'slo', the project template, is retired")
    assert (await preview(gates=[OWN])).status_code == 200
    assert (await traffic.patch(paused=True)).json()["paused"] is True
    assert (await traffic.patch(paused=False, default_gate_templates=None)).status_code == 200
    assert (await preview()).status_code == 200


async def test_a_new_version_that_does_not_take_the_arguments_refuses_the_next_rollout(
    traffic, preview
):
    await traffic.patch(default_gate_templates=[use(arguments={"limit": 0.1})])
    await traffic.api.made("/gate_templates", slo(0.5))
    assert errors(await preview()).keys() == {"default_gate_templates.0.arguments.limit"}


async def test_a_rule_that_a_new_version_breaks_is_told_at_the_config_s_field(traffic, preview):
    await traffic.patch(default_gates=[OWN], default_gate_templates=[use()])
    clash = slo(0.5)
    clash["gates"][0]["name"] = "own"
    await traffic.api.made("/gate_templates", clash)
    assert errors(await preview()) == {
        "default_gate_templates.0.gates.0.name": "'own' names another gate already"
    }


async def test_another_project_s_template_is_none_of_a_config_s(traffic, stranger):
    theirs = Traffic(stranger, await stranger.served())
    rule = errors(await theirs.patch(default_gate_templates=[use()]))
    assert "'slo' is no gate template" in rule["default_gate_templates.0.name"]
