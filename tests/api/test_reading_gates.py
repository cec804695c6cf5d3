"""Gates without statistics at the front door: asked for beside the others, refused by field."""

import json
from dataclasses import replace
from uuid import UUID

import pytest

from api.schemas.reading_gates import ReadingGateBody
from domain.prices import TokenPrice
from domain.reading_gates import PromQuery
from domain.registry import TrafficConfig
from domain.rollout import Rollout
from tests.api.caller import canary

ERRORS = {"name": "errors", "metric": "error_rate", "limit": 0.02}
QUERY = 'avg(quality{model="{{candidate.workload}}"})'
QUALITY = {
    "name": "quality",
    "query": QUERY,
    "success_condition": "result[0] >= 0.95",
    "interval_seconds": 30,
    "count": 5,
    "failure_limit": 1,
}

PER_REQUEST = {"per": "request", "window_seconds": 60, "times_stable": 1.2}
COST = {
    "name": "cost",
    "cost": PER_REQUEST,
    "interval_seconds": 30,
}

URL = "https://hooks.example.com/score?model={{candidate.workload}}"
WEB = {
    "name": "evals",
    "web": {"url": URL, "json_path": "$.score", "headers": {"Authorization": "Bearer s3cret"}},
    "success_condition": "result[0] >= 0.95",
}


def web(**changes):
    return WEB | {"web": {"url": URL, "json_path": "$.score", **changes}}


@pytest.fixture
async def ids(api):
    return await api.served()


def _rollouts(ids):
    return f"/traffic_configs/{ids['config']}/rollouts"


async def test_gates_of_both_kinds_are_one_list(api, ids, registry):
    marks = {"critical": False, "dry_run": True}
    gates = [QUALITY | marks, ERRORS | marks]
    made = await api.made(_rollouts(ids), canary(ids["v2"], gates=gates))
    plan = registry.things[Rollout][UUID(made["id"])].plan
    (quality,) = plan.reading_gates
    assert quality.question == PromQuery(query=QUERY)
    assert (quality.rules.count, quality.rules.failure_limit) == (5, 1)
    assert [(gate.critical, gate.dry_run) for gate in plan.all_gates] == [(False, True)] * 2
    shown = made["plan"]["gates"]
    assert [gate["name"] for gate in shown] == ["errors", "quality"]
    assert shown[1] == shown[1] | QUALITY | marks
    assert "metric" not in shown[1]
    assert "query" not in shown[0]


@pytest.mark.parametrize(
    ("gate", "field", "rule"),
    [
        ({"name": "g"}, "gates.0", "exactly one of metric, query"),
        (QUALITY | {"metric": "error_rate"}, "gates.0", "found metric and query"),
        (QUALITY | {"limit": 0.1}, "gates.0.limit", "is not known"),
        (ERRORS | {"count": 3}, "gates.0.count", "is not known"),
        (COST | {"query": QUERY}, "gates.0", "found query and cost"),
        (COST | {"success_condition": "result[0] < 1"}, "gates.0", "leave the conditions out"),
        (COST | {"cost": {"per": "day", "limit": 1}}, "gates.0.cost.per", "request"),
        (COST | {"cost": {"per": "request"}}, "gates.0.cost", "exactly one of limit"),
        (COST | {"cost": {"per": "request", "limit": 0}}, "gates.0.cost.limit", "above 0"),
        (web(url="https://other.example.com/"), "gates.0.web.url", "not an allowed host"),
        (web(url="https://{{model}}.example.com/"), "gates.0.web.url", "allowed host"),
        (web(json_path="score"), "gates.0.web.json_path", "must begin with $"),
        (web(headers={"A": "(hidden)"}), "gates.0.web.headers", "give the value again"),
        (web(headers={"A": "secret "}), "gates.0.web.headers.A", "begin or end with a space"),
        (web(url=f"{URL}&x={'y' * 2048}"), "gates.0.web.url", "at most 2048 characters"),
        (web(json_path="$['\0']"), "gates.0.web.json_path", "control characters"),
        (QUALITY | {"query": 'up{a="\0"}'}, "gates.0.query", "control characters"),
        (QUALITY | {"query": 'up{a="\\{{model}}"}'}, "gates.0.query", "backslash before"),
        (web(method="DELETE"), "gates.0.web.method", "GET"),
        (web(body={}), "gates.0.web.body", "belongs to the method POST"),
        (QUALITY | {"query": 7}, "gates.0.query", "string"),
        (QUALITY | {"query": "sum({{candidate.workload}})"}, "gates.0.query", "outside of quotes"),
        (QUALITY | {"query": 'up{a="{{b}}"}'}, "gates.0.query", "is not known here"),
        (QUALITY | {"success_condition": "result"}, "gates.0.success_condition", "character"),
        (QUALITY | {"success_condition": ""}, "gates.0.success_condition", "must be given"),
        (QUALITY | {"interval_seconds": 0.5}, "gates.0.interval_seconds", "1..86400"),
        (QUALITY | {"count": 0}, "gates.0.count", "1"),
        (QUALITY | {"failure_limit": -1}, "gates.0.failure_limit", "0"),
        (QUALITY | {"failure_limit": 5}, "gates.0.failure_limit", "at most 4"),
        (QUALITY | {"name": "Bad Name"}, "gates.0.name", "label"),
    ],
)
async def test_a_gate_that_breaks_a_rule_is_refused_by_its_field(api, ids, gate, field, rule):
    answer = await api.post(_rollouts(ids), canary(ids["v2"], gates=[gate]))
    assert answer.status_code == 422, answer.text
    told = {error["field"]: error["rule"] for error in answer.json()["errors"]}
    assert rule in told[field]


async def test_a_cost_is_held_against_its_limit_by_the_price_of_the_day(api, ids, registry):
    made = await api.made(_rollouts(ids), canary(ids["v2"], gates=[COST]))
    (gate,) = registry.things[Rollout][UUID(made["id"])].plan.reading_gates
    assert gate.question.price == TokenPrice(input=3, output=15)
    assert gate.rules.success_condition == "result[0] <= 1.2"
    (shown,) = made["plan"]["gates"]
    assert shown["cost"] == PER_REQUEST | {"limit": None}
    assert (shown["success_condition"], shown["query"]) == ("", None)


async def test_a_model_without_a_price_has_no_gate_on_its_cost(api):
    ids = await api.served(name="mini")
    answer = await api.post(_rollouts(ids), canary(ids["v2"], gates=[ERRORS, COST]))
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "gates.1.cost"
    assert "'mini'" in error["rule"]


async def test_what_a_url_is_sent_in_headers_is_kept_and_never_shown(api, ids, registry):
    made = await api.made(_rollouts(ids), canary(ids["v2"], gates=[WEB]))
    (gate,) = registry.things[Rollout][UUID(made["id"])].plan.reading_gates
    assert gate.question.headers == (("Authorization", "Bearer s3cret"),)
    shown = await api.get(f"/rollouts/{made['id']}")
    assert shown.json()["plan"]["gates"][0]["web"]["headers"] == {"Authorization": "(hidden)"}
    assert "s3cret" not in shown.text


async def test_names_are_unique_over_both_kinds(api, ids):
    gates = [ERRORS, QUALITY | {"name": "errors"}]
    answer = await api.post(_rollouts(ids), canary(ids["v2"], gates=gates))
    assert [error["field"] for error in answer.json()["errors"]] == ["gates.1.name"]


async def test_defaults_of_a_config_may_be_of_both_kinds(traffic, registry):
    shown = (await traffic.patch(default_gates=[QUALITY, COST, WEB, ERRORS])).json()
    assert [gate["name"] for gate in shown["default_gates"]] == [
        *("quality", "cost", "evals", "errors")
    ]
    again = await traffic.patch(default_gates=shown["default_gates"])
    assert [one["field"] for one in again.json()["errors"]] == ["default_gates.2.web.headers"]
    await traffic.api.made(f"{traffic.path}/rollouts", canary(traffic.ids["v2"]))
    (rollout,) = registry.things[Rollout].values()
    assert [gate.name for gate in rollout.plan.all_gates] == ["errors", "quality", "cost", "evals"]


async def test_a_url_may_be_as_long_as_one_of_a_hook(api, ids):
    url = f"{URL}&x={'y' * 1500}"
    made = await api.made(_rollouts(ids), canary(ids["v2"], gates=[web(url=url)]))
    assert made["plan"]["gates"][0]["web"]["url"] == url


@pytest.mark.parametrize(
    ("gate", "field"), [(web(url="https://other.example.com/"), "web.url"), (COST, "cost")]
)
async def test_a_default_that_this_installation_cannot_ask_is_refused(api, gate, field):
    """Else each rollout that names no gates would be, for a field that it does not have."""
    ids = await api.served(name="mini")
    config = f"/traffic_configs/{ids['config']}"
    answer = await api.patch(config, {"default_gates": [ERRORS, gate]})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [f"default_gates.1.{field}"]


async def test_what_is_wrong_with_a_default_by_now_is_told_as_one(api, registry):
    """A price may be taken out of the settings while gates on the cost are defaults."""
    ids = await api.served(name="mini")
    configs = registry.things[TrafficConfig]
    config = configs[UUID(ids["config"])]
    cost = ReadingGateBody.model_validate(COST).to_domain()
    configs[config.id] = replace(config, default_gates=(cost,))
    answer = await api.post(_rollouts(ids), canary(ids["v2"]))
    assert [error["field"] for error in answer.json()["errors"]] == ["default_gates.0.cost"]


async def test_a_body_that_could_not_be_shown_is_refused(api, ids):
    """JSON can write half of a surrogate pair, which is no character."""
    wish = canary(ids["v2"], gates=[web(method="POST", body={"a": "\ud800"})])
    headers = {"Content-Type": "application/json"}
    answer = await api.call("POST", _rollouts(ids), content=json.dumps(wish), headers=headers)
    assert answer.status_code == 422, answer.text
    (told,) = answer.json()["errors"]
    assert (told["field"], "surrogate" in told["rule"]) == ("gates.0.web.body", True)


async def test_a_default_that_breaks_a_rule_is_refused_by_its_field(traffic):
    wrong = [ERRORS, QUALITY | {"success_condition": "result["}]
    answer = await traffic.patch(default_gates=wrong)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [
        "default_gates.1.success_condition"
    ]
