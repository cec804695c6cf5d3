"""docs/gate-templates.md: the calls do what is told, every field and number is the code's."""

import json

import pytest

from api.schemas.gate_templates import (
    ArgumentBody,
    GateTemplateIn,
    TemplatePinOut,
    TemplateUseBody,
)
from domain.gate_templates.arguments import (
    LONGEST_NAME,
    LONGEST_TEXT,
    MOST_ARGUMENTS,
    MOST_WHOLE,
    ArgumentType,
    broken_rule,
)
from domain.gate_templates.filling import LONGEST_FILLED
from domain.gate_templates.template import DEEPEST, LONGEST_DOCUMENT
from domain.strategies.gate_rules import MOST_GATES
from tests.docs.pages import _calls, blocks, option, page, search, section, tables
from tests.docs.test_rollouts import fields_of

TEXT = page("gate-templates")
CALLS = [words for block in blocks(TEXT, "sh") for words in _calls(block)]
SPEC = json.loads(blocks(TEXT, "json")[0])


@pytest.fixture
def told(api):
    """Makes the page's calls below a heading, in order."""

    async def make(heading, template="slo", config=""):
        answers = []
        for block in blocks(section(TEXT, heading), "sh"):
            for words in _calls(block):
                (url,) = (word for word in words if word.startswith("$API"))
                path = url.removeprefix("$API").replace("$TEMPLATE", template)
                path = path.replace("$CONFIG", config)
                body = option(words, "-d")
                method = option(words, "-X", "POST" if body else "GET")
                given = json.loads(body) if body else None
                answers.append(await api.call(method, path, json=given))
        assert answers
        return answers

    return make


@pytest.fixture
def start(api):
    """Starts the page's rollout, with changes."""

    async def begin(**changes):
        ids = await api.served()
        wish = SPEC | {"target_version_id": ids["v2"]} | changes
        return await api.post(f"/traffic_configs/{ids['config']}/rollouts", wish)

    return begin


async def test_the_template_is_written_and_used_as_told(told, start):
    (made,) = await told("Write one")
    assert (made.status_code, made.json()["version"]) == (201, 1)
    (again,) = await told("Write one")
    assert (again.status_code, again.json()) == (200, made.json())

    plan = (await start(dry_run=True)).json()["plan"]
    assert [gate["name"] for gate in plan["gates"]] == ["few-errors", "errors", "slow-gold"]
    assert [gate["limit"] for gate in plan["gates"]] == [0.05, 0.01, None]
    assert plan["gates"][2]["slow_over_ms"] == 5000
    assert plan["gate_templates"] == [
        {
            "name": "slo",
            "scope": "project",
            "version": 1,
            "arguments": {"errors": 0.01, "slow_ms": 5000, "tier": "gold"},
        }
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, "gate_templates.0.arguments.slow_ms"),
        ({"arguments": {"slow_ms": 5001}}, "gate_templates.0.gates.1.slow_over_ms"),
    ],
)
async def test_an_error_is_told_at_the_field_that_the_page_names(told, start, changes, field):
    await told("Write one")
    answer = await start(gate_templates=[{"name": "slo", **changes}])
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]
    assert f"`{field}`" in TEXT


async def test_a_config_takes_it_as_a_default_as_told(api, told):
    await told("Write one")
    ids = await api.served()
    (patched,) = await told("As a default", config=ids["config"])
    assert patched.status_code == 200
    wish = {"steps": SPEC["steps"], "target_version_id": ids["v2"], "dry_run": True}
    preview = await api.post(f"/traffic_configs/{ids['config']}/rollouts", wish)
    assert [pin["name"] for pin in preview.json()["plan"]["gate_templates"]] == ["slo"]


async def test_it_is_looked_at_and_retired_as_told(told, start):
    await told("Write one")
    listed, one, first, versions = await told("Look at them")
    assert [item["name"] for item in listed.json()["items"]] == ["slo"]
    assert one.json() == first.json()
    assert versions.json()["total"] == 1

    (retired,) = await told("Retire one")
    assert retired.json()["retired_at"] is not None
    assert (await start()).status_code == 422
    assert (await told("Write one"))[0].status_code == 409
    assert (await told("Look at them"))[1].status_code == 200


async def test_a_global_one_is_there_for_all_as_told(told, start):
    made, listed = await told("Global templates")
    assert (made.status_code, made.json()["scope"]) == (201, "global")
    assert listed.json()["items"][0]["name"] == made.json()["name"]
    plan = (await start(gate_templates=[{"name": "no-worse"}], dry_run=True)).json()["plan"]
    assert plan["gate_templates"][0]["scope"] == "global"


@pytest.mark.parametrize(
    ("heading", "place", "model"),
    [
        ("Write one", 0, GateTemplateIn),
        ("Arguments", 0, ArgumentBody),
        ("Use it", 0, TemplateUseBody),
    ],
)
def test_every_field_is_told_with_its_default(heading, place, model):
    table = tables(section(TEXT, heading))[place]
    assert {row[0]: row[1] for row in table} == fields_of(model)


def test_every_field_of_a_pin_is_told():
    (rows,) = tables(section(TEXT, "What a rollout keeps"))
    assert [row[0] for row in rows] == list(TemplatePinOut.model_fields)


def test_every_type_is_told_with_values_of_it():
    rows = tables(section(TEXT, "Arguments"))[1]
    assert [row[0] for row in rows] == list(ArgumentType)
    for kind, told in rows:
        values = [json.loads(one) for one in told.split("`")[1::2]]
        assert values or kind in {"integer", "string"}
        assert not any(broken_rule(ArgumentType(kind), value) for value in values)


def test_the_limits_are_those_of_the_code():
    write, arguments = section(TEXT, "Write one"), section(TEXT, "Arguments")
    assert search(r"up to (\d+), below", write) == (f"{MOST_ARGUMENTS}",)
    assert search(r"1 to (\d+) gates", write) == (f"{MOST_GATES}",)
    assert search(r"there are at most (\d+) gates", section(TEXT, "Use it")) == (f"{MOST_GATES}",)
    assert search(r"`_`, at most (\d+) characters", arguments) == (f"{LONGEST_NAME}",)
    assert search(r"up to ([\d,]+) characters", arguments) == (f"{LONGEST_TEXT:,}",)
    assert search(r"up to 2\^(\d+)", arguments) == (f"{MOST_WHOLE.bit_length() - 1}",)
    sizes = search(r"(\d+) KiB and (\d+) levels deep, filled in at most (\d+) KiB", TEXT)
    assert tuple(map(int, sizes)) == (LONGEST_DOCUMENT >> 10, DEEPEST, LONGEST_FILLED >> 10)


def test_there_are_calls_to_make():
    assert len(CALLS) == 9
