"""Templates of gates: written, shown, retired; used by a rollout, which pins what it used."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.errors import Unreachable
from domain.rollout import Phase, Rollout
from tests.api.caller import canary, service_of
from tests.api.staging import change

GATE = {"name": "errors", "metric": "error_rate", "limit": "{{args.limit}}"}
LIMIT = {"name": "limit", "type": "number", "default": 0.02}
SLO = {"name": "slo", "arguments": [LIMIT], "gates": [GATE]}
SLOW = {
    "name": "slow",
    "arguments": [
        {"name": "above", "type": "integer", "example": 250},
        {"name": "what", "type": "string", "default": "answers"},
    ],
    "gates": [
        {"name": "slow-{{args.what}}", "metric": "latency", "slow_over_ms": "{{args.above}}",
         "against_stable": {"floor": 0.02}}
    ],
}  # fmt: skip
FOLDERS = ["/gate_templates", "/global/gate_templates"]


def fixed(limit):
    return {"name": "slo", "gates": [{**GATE, "limit": limit}]}


def use(name="slo", **changes):
    return {"name": name, **changes}


def errors(answer):
    assert answer.status_code == 422, answer.text
    return {one["field"]: one["rule"] for one in answer.json()["errors"]}


@pytest.fixture
async def ids(api):
    return await api.served()


@pytest.fixture
def preview(api, ids):
    """The answer to a rollout that is only asked for."""

    async def ask(*uses, **changes):
        body = canary(ids["v2"], dry_run=True, gate_templates=list(uses), **changes)
        return await api.post(f"/traffic_configs/{ids['config']}/rollouts", body)

    return ask


@pytest.mark.parametrize("folder", FOLDERS)
async def test_a_template_is_shown_as_it_was_written(api, folder):
    made = await api.made(folder, {**SLO, "description": "what we promise"})

    assert made["scope"] == ("global" if "global" in folder else "project")
    assert (made["name"], made["version"], made["retired_at"]) == ("slo", 1, None)
    assert made["description"] == "what we promise"
    assert made["gates"] == [GATE]
    assert made["arguments"] == [{**LIMIT, "example": None, "description": ""}]
    assert (await api.get(f"{folder}/slo")).json() == made


@pytest.mark.parametrize("folder", FOLDERS)
async def test_other_content_is_the_next_version_and_the_same_content_none(api, folder):
    first = await api.made(folder, fixed(0.01))
    second = await api.made(folder, fixed(0.02))
    again = await api.post(folder, fixed(0.02))

    assert (again.status_code, again.json()) == (200, second)
    assert (first["version"], second["version"]) == (1, 2)
    assert (await api.get(f"{folder}/slo")).json() == second
    assert (await api.get(f"{folder}/slo?version=1")).json() == first
    listed = (await api.get(f"{folder}/slo/versions")).json()
    assert ([one["version"] for one in listed["items"]], listed["total"]) == ([2, 1], 2)
    ((latest,), total) = ((found := (await api.get(folder)).json())["items"], found["total"])
    assert (latest["version"], total) == (2, 1)


@pytest.mark.parametrize("folder", FOLDERS)
async def test_lists_go_by_page(api, folder):
    for name in ("a", "b", "c"):
        await api.made(folder, {**SLO, "name": name})
    page = (await api.get(f"{folder}?limit=2")).json()
    assert ([one["name"] for one in page["items"]], page["next_offset"]) == (["c", "b"], 2)
    named = (await api.get(f"{folder}?name=b")).json()
    assert [one["name"] for one in named["items"]] == ["b"]
    for limit in (0.1, 0.2, 0.3):
        await api.made(folder, fixed(limit))
    page = (await api.get(f"{folder}/slo/versions?limit=1&offset=1")).json()
    assert ([one["version"] for one in page["items"]], page["next_offset"]) == ([2], 2)


@pytest.mark.parametrize("folder", FOLDERS)
async def test_what_is_not_there_is_a_404(api, folder):
    await api.made(folder, SLO)
    for answer in (
        await api.get(f"{folder}/other"),
        await api.get(f"{folder}/slo?version=2"),
        await api.get(f"{folder}/other/versions"),
        await api.patch(f"{folder}/other", {"retired": True}),
    ):
        assert answer.status_code == 404


@pytest.mark.parametrize("folder", FOLDERS)
async def test_a_retired_name_is_shown_takes_no_version_and_is_had_back(api, folder):
    await api.made(folder, SLO)
    retired = (await api.patch(f"{folder}/slo", {"retired": True})).json()
    again = (await api.patch(f"{folder}/slo", {"retired": True})).json()

    assert retired["retired_at"] is not None
    assert again == retired == (await api.get(f"{folder}/slo")).json()
    refused = await api.post(folder, fixed(0.5))
    assert refused.status_code == 409
    assert "'slo' is retired" in refused.json()["detail"]
    back = (await api.patch(f"{folder}/slo", {"retired": False})).json()
    assert back["retired_at"] is None
    assert (await api.made(folder, fixed(0.5)))["version"] == 2


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"name": "S L O"}, "name", "must be lower-case letters"),
        ({"gates": []}, "gates", "at least 1 item"),
        ({"gates": [GATE] * 21}, "gates", "at most 20 items"),
        ({"gates": ["errors"]}, "gates.0", "valid dictionary"),
        ({"arguments": [LIMIT, LIMIT]}, "arguments.1.name", "names another argument already"),
        ({"arguments": []}, "gates.0.limit", "has {{args.limit}}, which is no declared argument"),
        ({"arguments": [LIMIT | {"default": None}]}, "arguments.0", "needs a default, or an example"),
        ({"arguments": [LIMIT | {"default": "x"}]}, "arguments.0.default", "must be a number"),
        ({"arguments": [LIMIT | {"default": {}}]}, "arguments.0.default", "must be a string, a number"),
        ({"arguments": [LIMIT | {"type": "float"}]}, "arguments.0.type", "Input should be"),
        ({"arguments": [LIMIT | {"default": 2}]}, "gates.0.limit", "must be a fraction of requests"),
        ({"gates": [GATE | {"limits": 1}]}, "gates.0.limits", "is not known"),
        ({"gates": [GATE | {"metric": "{{args.limit}}"}]}, "gates.0.metric", "Input should be"),
        ({"gates": [GATE, GATE]}, "gates.1.name", "'errors' names another gate already"),
        ({"gates": [{"name": "a", "metric": "error_rate", "limit": 1}]}, "arguments.0", "in no gate"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("folder", FOLDERS)
async def test_a_broken_template_is_refused_with_its_field(api, folder, changes, field, rule):
    answer = await api.post(folder, {**SLO, **changes})
    assert rule in errors(answer)[field]
    assert (await api.get(folder)).json()["total"] == 0


async def test_all_gates_that_are_wrong_are_told(api):
    unfit = {"name": "a", "metric": "error_rate", "limit": [1]}
    gates = [unfit, GATE, {"metric": "latency"}]
    told = errors(await api.post("/gate_templates", {**SLO, "gates": gates}))
    assert told.keys() == {"gates.0.limit", "gates.2.name"}
    assert told["gates.2.name"] == "is required"


async def test_a_document_that_is_too_deep_is_refused(api):
    deep: Any = "x"
    for _ in range(200):
        deep = {"a": deep}
    told = errors(await api.post("/gate_templates", {**SLO, "gates": [GATE | {"limit": deep}]}))
    assert any("at most 8 levels deep" in rule for rule in told.values())


async def test_a_project_sees_global_templates_at_their_own_place_only(api, stranger):
    await api.made("/global/gate_templates", SLO)
    for caller in (api, stranger):
        assert (await caller.get("/gate_templates")).json()["total"] == 0
        assert (await caller.get("/gate_templates/slo")).status_code == 404
        assert (await caller.get("/global/gate_templates/slo")).json()["scope"] == "global"


async def test_two_projects_and_what_is_global_have_a_name_each_for_itself(api, stranger):
    folders = [(api, FOLDERS[0]), (stranger, FOLDERS[0]), (api, FOLDERS[1])]
    for i, (caller, folder) in enumerate(folders, start=1):
        assert (await caller.made(folder, fixed(i / 10)))["version"] == 1
    assert (await stranger.patch("/gate_templates/slo", {"retired": True})).status_code == 200
    for i, (caller, folder) in enumerate(folders, start=1):
        shown = (await caller.get(f"{folder}/slo")).json()
        assert shown["gates"][0]["limit"] == i / 10
        assert (shown["retired_at"] is None) is (caller is api)


async def test_a_dry_run_shows_the_gates_filled_in_and_what_is_pinned(api, preview):
    await api.made("/gate_templates", SLO)
    await api.made("/global/gate_templates", SLOW)
    plan = (await preview(use(), use("slow", arguments={"above": 500}))).json()["plan"]

    assert [gate["name"] for gate in plan["gates"]] == ["errors", "slow-answers"]
    assert plan["gates"][0]["limit"] == 0.02
    assert plan["gates"][1]["slow_over_ms"] == 500
    assert plan["gate_templates"] == [
        {"name": "slo", "scope": "project", "version": 1, "arguments": {"limit": 0.02}},
        {"name": "slow", "scope": "global", "version": 1,
         "arguments": {"above": 500, "what": "answers"}},
    ]  # fmt: skip


async def test_own_gates_come_first_and_default_gates_do_not_hold(api, ids, preview):
    default = [{"name": "default", "metric": "error_rate", "limit": 0.5}]
    await api.patch(f"/traffic_configs/{ids['config']}", {"default_gates": default})
    await api.made("/gate_templates", SLO)
    own = {"name": "own", "metric": "error_rate", "limit": 0.1}

    async def names(*uses, **changes):
        plan = (await preview(*uses, **changes)).json()["plan"]
        return [gate["name"] for gate in plan["gates"]]

    assert await names() == ["default"]
    assert await names(use()) == ["errors"]
    assert await names(use(), gates=[own]) == ["own", "errors"]
    assert await names(use(), gates=[]) == ["errors"]


async def test_a_template_may_be_used_twice_with_other_arguments(api, preview):
    await api.made("/gate_templates", SLOW)
    wishes = [use("slow", arguments={"above": ms, "what": f"over-{ms}"}) for ms in (250, 500)]
    plan = (await preview(*wishes)).json()["plan"]
    assert [gate["name"] for gate in plan["gates"]] == ["slow-over-250", "slow-over-500"]
    assert [pin["arguments"]["above"] for pin in plan["gate_templates"]] == [250, 500]


async def test_the_project_s_template_is_meant_before_the_global_one_unless_said(api, preview):
    await api.made("/global/gate_templates", fixed(0.3))
    assert await _pinned(preview, use()) == ("global", 0.3)
    await api.made("/gate_templates", fixed(0.2))

    assert await _pinned(preview, use()) == ("project", 0.2)
    assert await _pinned(preview, use(scope="project")) == ("project", 0.2)
    assert await _pinned(preview, use(scope="global")) == ("global", 0.3)


async def _pinned(preview, wish):
    plan = (await preview(wish)).json()["plan"]
    return plan["gate_templates"][0]["scope"], plan["gates"][0]["limit"]


async def test_a_retired_template_is_refused_and_does_not_give_way_to_a_global_one(api, preview):
    await api.made("/gate_templates", fixed(0.2))
    await api.made("/global/gate_templates", fixed(0.3))
    await api.patch("/gate_templates/slo", {"retired": True})

    for wish in (use(), use(version=1), use(scope="project")):
        rule = errors(await preview(wish))["gate_templates.0.name"]
        assert rule.startswith("'slo', the project template, is retired")
        assert ("scope global" in rule) is ("scope" not in wish)
    assert await _pinned(preview, use(scope="global")) == ("global", 0.3)
    await api.patch("/global/gate_templates/slo", {"retired": True})
    rule = errors(await preview(use(scope="global")))["gate_templates.0.name"]
    assert rule == "'slo', the global template, is retired"


async def test_a_version_may_be_chosen_and_the_latest_is_taken_else(api, preview):
    for limit in (0.1, 0.2):
        await api.made("/gate_templates", fixed(limit))
    plans = [(await preview(use(version=v))).json()["plan"] for v in (1, 2, None)]
    assert [plan["gates"][0]["limit"] for plan in plans] == [0.1, 0.2, 0.2]
    assert [plan["gate_templates"][0]["version"] for plan in plans] == [1, 2, 2]


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"name": "other"}, "name", "'other' is no gate template that there is"),
        ({"name": "slow", "scope": "global"}, "name", "'slow' is no global gate template"),
        ({"version": 2}, "version", "has no version 2; its latest is 1"),
        ({"arguments": {}}, "arguments.above", "is required, of the type integer"),
        ({"arguments": {"above": 250, "abvoe": 1}}, "arguments.abvoe", "which has: above, what"),
        ({"arguments": {"above": "250"}}, "arguments.above", "must be a whole number"),
        ({"arguments": {"above": 250.0}}, "arguments.above", "must be a whole number"),
        ({"arguments": {"above": True}}, "arguments.above", "must be a whole number"),
        ({"arguments": {"above": [250]}}, "arguments.above", "must be a string, a number, true or"),
        ({"arguments": {"above": None}}, "arguments.above", "must be a string, a number, true or"),
        ({"arguments": {"above": 250, "what": "x" * 1001}}, "arguments.what", "at most 1000"),
        ({"arguments": {"above": 250, "what": 5}}, "arguments.what", "must be a string"),
        ({"arguments": {"above": 251}}, "gates.0.slow_over_ms", "must be a bound"),
        ({"arguments": {"above": 250, "what": "A B"}}, "gates.0.name", "is not an RFC 1123 label"),
        ({"arguments": {"above": 250, "what": "x\ny"}}, "gates.0.name", "control characters"),
    ],
)
async def test_a_use_that_does_not_fit_is_refused_with_its_field(
    api, preview, changes, field, rule
):
    await api.made("/gate_templates", SLOW)
    own = {"name": "own", "metric": "error_rate", "limit": 0.1}
    wish = use("slow", arguments={"above": 250}) | changes
    assert rule in errors(await preview(wish, gates=[own]))[f"gate_templates.0.{field}"]


ASKED: dict[str, Any] = {
    "name": "asked",
    "arguments": [
        {"name": "team", "type": "string", "example": "a"},
        {"name": "window", "type": "duration", "default": "5m"},
        {"name": "most", "type": "number", "default": 0.5},
        {"name": "count", "type": "integer", "default": 3},
    ],
    "gates": [
        {
            "name": "asked",
            "query": 'rate(x{team="{{args.team}}",w="{{candidate.workload}}"}[{{args.window}}])',
            "success_condition": "result[0] < {{args.most}}",
            "interval_seconds": 30,
            "count": "{{args.count}}",
        }
    ],
}


async def test_a_query_is_filled_in_but_for_what_the_gate_knows_itself(api, preview):
    await api.made("/gate_templates", ASKED)
    (gate,) = (await preview(use("asked", arguments={"team": 'x"y'}))).json()["plan"]["gates"]
    assert gate["query"] == 'rate(x{team="x\\"y",w="{{candidate.workload}}"}[5m])'
    assert gate["success_condition"] == "result[0] < 0.5"
    assert gate["count"] == 3


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"query": "x > {{args.team}}"}, "query", "outside of quotes"),
        ({"success_condition": "{{args.team}}"}, "success_condition", "only numbers may stand"),
        ({"success_condition": "result[0] <"}, "success_condition", "found the end"),
        ({"query": "x{a='{{nobody}}'}"}, "query", "{{nobody}}, which is not known"),
    ],
)
async def test_a_query_that_cannot_be_asked_is_refused(api, changes, field, rule):
    (gate,) = ASKED["gates"]
    used = " # ".join(f"{{{{args.{one['name']}}}}}" for one in ASKED["arguments"])
    wish = {**ASKED, "gates": [{**gate, **changes}, {"name": used, "metric": "error_rate"}]}
    assert rule in errors(await api.post("/gate_templates", wish))[f"gates.0.{field}"]


async def test_a_cost_without_a_price_is_told_at_the_template(api, ids, preview):
    gate = {"name": "cost", "cost": {"per": "request", "limit": 0.01}}
    await api.made("/gate_templates", {"name": "cheap", "gates": [gate]})
    model = {"name": "unpriced", "model_version_ids": [ids["v1"]]}
    service = await api.made("/inference_services", service_of(ids, **model))
    config = await api.made("/traffic_configs", {"inference_service_id": service["id"]})
    own = {"name": "own", "metric": "error_rate", "limit": 0.1}
    wish = canary(ids["v2"], dry_run=True, gates=[own], gate_templates=[use("cheap")])
    answer = await api.post(f"/traffic_configs/{config['id']}/rollouts", wish)
    assert errors(answer).keys() == {"gate_templates.0.gates.0.cost"}
    assert (await preview(use("cheap"))).status_code == 200


async def test_every_use_that_does_not_fit_is_told(api, preview):
    await api.made("/gate_templates", SLOW)
    told = errors(await preview(use("slow"), use("none")))
    assert told.keys() == {"gate_templates.0.arguments.above", "gate_templates.1.name"}


async def test_a_name_that_the_rollout_s_own_gate_has_is_refused_at_the_template(api, preview):
    await api.made("/gate_templates", SLO)
    own = {"name": "errors", "metric": "error_rate", "limit": 0.1}
    told = errors(await preview(use(), gates=[own]))
    assert told == {"gate_templates.0.gates.0.name": "'errors' names another gate already"}


async def test_a_broken_rule_of_an_own_gate_keeps_its_field(api, preview):
    await api.made("/gate_templates", SLO)
    own = {"name": "own", "metric": "error_rate", "limit": 2}
    assert errors(await preview(use(), gates=[own])).keys() == {"gates.0.limit"}


async def test_gates_of_both_kinds_are_counted_together(api, preview):
    await api.made("/gate_templates", SLO)
    own = [{"name": f"g{i}", "metric": "error_rate", "limit": 0.1} for i in range(20)]
    assert errors(await preview(use(), gates=own)) == {"gates": "must be at most 20"}


async def test_a_rollout_keeps_what_it_started_with(api, ids, registry, control):
    await api.made("/gate_templates", SLO)
    wish = canary(ids["v2"], gate_templates=[use(arguments={"limit": 0.05})])
    made = await api.made(f"/traffic_configs/{ids['config']}/rollouts", wish)
    await api.made("/gate_templates", fixed(0.5))
    await api.patch("/gate_templates/slo", {"retired": True})

    plan = (await api.get(f"/rollouts/{made['id']}")).json()["plan"]
    assert plan == made["plan"]
    assert plan["gate_templates"] == [
        {"name": "slo", "scope": "project", "version": 1, "arguments": {"limit": 0.05}}
    ]
    assert plan["gates"][0]["limit"] == 0.05
    ended = {"phase": Phase.ROLLED_BACK, "phase_reason": "errors", "ended_at": datetime.now(UTC)}
    change(registry, Rollout, made["id"], **ended)
    control.running.clear()
    again = await api.made(f"/rollouts/{made['id']}/retry", {})
    assert again["plan"] == plan


async def test_another_project_cannot_use_a_project_s_template(api, stranger, ids):
    await api.made("/gate_templates", SLO)
    theirs = await stranger.served()
    for scope in (None, "project", "global"):
        wish = canary(theirs["v2"], gate_templates=[use(scope=scope)])
        answer = await stranger.post(f"/traffic_configs/{theirs['config']}/rollouts", wish)
        assert "'slo' is no" in errors(answer)["gate_templates.0.name"]


async def test_a_rollout_without_templates_shows_none(api, ids):
    made = await api.made(f"/traffic_configs/{ids['config']}/rollouts", canary(ids["v2"]))
    assert made["plan"]["gate_templates"] == []


async def test_while_the_database_is_away_nothing_is_started(api, ids, templates, control):
    await api.made("/gate_templates", SLO)
    templates.error = Unreachable()
    wish = canary(ids["v2"], gate_templates=[use()])
    answer = await api.post(f"/traffic_configs/{ids['config']}/rollouts", wish)
    assert answer.status_code == 503
    assert (await api.get("/rollouts")).json()["total"] == 0


async def test_versions_that_are_written_at_once_are_all_kept(api):
    answers = await asyncio.gather(
        *(api.post("/gate_templates", fixed(i / 10)) for i in range(1, 6))
    )
    assert {one.json()["version"] for one in answers} == {1, 2, 3, 4, 5}


WEB: dict[str, Any] = {
    "name": "evals",
    "web": {
        "url": "https://hooks.example.com/{{args.suite}}?m={{candidate.workload}}",
        "json_path": "$.score",
        "headers": {"Authorization": "Bearer s3cret"},
    },
    "success_condition": "result[0] >= {{args.least}}",
}
EVALS = {
    "name": "evals",
    "arguments": [
        {"name": "suite", "type": "string", "default": "nightly"},
        {"name": "least", "type": "number", "default": 0.95},
    ],
    "gates": [WEB],
}


async def test_a_template_asks_a_url_and_shows_no_value_of_a_header(api, ids, registry):
    made = await api.made("/gate_templates", EVALS)
    assert made["gates"][0]["web"]["headers"] == {"Authorization": "(hidden)"}
    body = canary(ids["v2"], gate_templates=[use("evals", arguments={"least": 0.5})])
    shown = await api.post(f"/traffic_configs/{ids['config']}/rollouts", body)
    assert "s3cret" not in shown.text
    (rollout,) = registry.things[Rollout].values()
    (gate,) = rollout.plan.reading_gates
    assert gate.rules.success_condition == "result[0] >= 0.5"
    assert gate.question.url == "https://hooks.example.com/nightly?m={{candidate.workload}}"
    assert gate.question.headers == (("Authorization", "Bearer s3cret"),)


async def test_what_was_shown_without_its_secret_is_not_taken_for_it(api):
    made = await api.made("/gate_templates", EVALS)
    again = await api.post("/gate_templates", {**EVALS, "gates": made["gates"]})
    assert list(errors(again)) == ["gates.0.web.headers"]


async def test_a_host_that_is_not_allowed_is_told_at_the_template(api, preview):
    other = {**WEB, "web": {**WEB["web"], "url": "https://other.example.com/{{args.suite}}"}}
    await api.made("/gate_templates", {**EVALS, "gates": [other]})
    told = errors(await preview(use("evals")))
    assert "not an allowed host" in told["gate_templates.0.gates.0.web.url"]
