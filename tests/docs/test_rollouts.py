"""docs/rollouts.md: every spec compiles, every table is the one of the code."""

import json
import re
from dataclasses import replace
from itertools import groupby

import pytest
from pydantic_core import PydanticUndefined

from adapters.kserve.answers import MOST_BYTES
from api.schemas.ab_tests import (
    AbTestIn,
    ArmIn,
    MatchIn,
    RewardBody,
    RewardCountersBody,
    ThompsonBody,
)
from api.schemas.comparisons import THRESHOLD, TOLERANCE, CompareIn, SampleRequestIn
from api.schemas.gates import AgainstStableBody, GateBody
from api.schemas.plans import PoliciesBody
from api.schemas.reading_gates import CostBody, ReadingGateBody, WebBody
from api.schemas.rollouts import RolloutIn
from api.schemas.steps import AnalysisIn, ApprovalIn, ConfirmIn, MirrorIn, StepIn
from api.schemas.strategies import BlueGreenIn, HeaderMatchBody, ShadowIn
from domain.comparison import MOST_REQUESTS, MOST_SAMPLE_BYTES, By, Similarity
from domain.errors import InvalidSpec
from domain.evidence.agreement import judge_answers
from domain.gates import ENVOY_BOUNDS_MS
from domain.progress import Cause
from domain.rollout import Action, EventKind, Phase
from domain.steps import Reaction
from domain.strategies.canary import MOST_STEPS
from domain.strategies.comparisons import MOST_IGNORED
from domain.strategies.compiling import compile_plan
from domain.strategies.gate_rules import MOST_GATES
from domain.strategies.rules import Parties
from domain.verdicts import Status
from domain.workloads import Protocol
from tests.comparisons import a_comparison, a_result
from tests.docs.pages import OPERATORS, blocks, page, search, section, tables
from tests.plans import route, variant
from tests.projects import a_project

TEXT = page("rollouts")
SPECS = [block for path in OPERATORS for block in blocks(path.read_text(), "json")]
SHORTEST = {
    "target_version_id": "00000000-0000-4000-8000-000000000002",
    "steps": [{"weight": 10, "soak_seconds": 60}],
}


def compiled(body):
    wish = RolloutIn.model_validate(body)
    candidate, *others = (
        variant(one.name, i, f"v{i + 1}") for i, one in enumerate(wish.challengers, start=1)
    )
    # Mirrors need a predictive protocol; the page of the shadow has a sample of version 1.
    mirrors = replace(route(), protocol=Protocol.V1)
    stable = variant("stable", 0, "v1")
    parties = Parties(route=mirrors, stable=stable, candidate=candidate, others=tuple(others))
    return compile_plan(wish.to_domain(a_project().config), parties)


@pytest.mark.parametrize("block", SPECS)
def test_every_spec_compiles(block):
    assert compiled(json.loads(block)).steps


def test_there_are_specs_to_compile():
    assert len(SPECS) >= 2


def test_the_plan_is_as_told():
    kinds = [step.kind for step in compiled(json.loads(SPECS[0])).steps]
    told = [row[0].replace(" ", "_") for row in tables(section(TEXT, "What becomes of it"))[0]]
    assert [kind for kind in told if kind != "..."] == list(dict.fromkeys(kinds[:3])) + kinds[-3:]


def fields_of(model):
    """Name to default, as JSON; "required" where there is none."""
    made = {}
    for name, info in model.model_fields.items():
        default = info.get_default(call_default_factory=True)
        if hasattr(default, "model_dump"):
            default = {}
        made[name] = "required" if default is PydanticUndefined else json.dumps(default)
    return made


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("The spec, field by field", RolloutIn),
        ("Steps", StepIn),
        ("Analysis", AnalysisIn),
        ("Mirror", MirrorIn),
        ("Approval", ApprovalIn),
        ("Confirm", ConfirmIn),
        ("Gates", GateBody),
        ("Gates on readings", ReadingGateBody),
        ("Web", WebBody),
        ("Cost", CostBody),
        ("Against stable", AgainstStableBody),
        ("Policies", PoliciesBody),
    ],
)
def test_every_field_is_told_with_its_default(heading, model):
    told = {row[0]: row[1] for table in tables(section(TEXT, heading)) for row in table}
    assert told == fields_of(model)


@pytest.mark.parametrize(
    ("name", "heading", "models"),
    [
        ("blue-green", "The section `blue_green`", [BlueGreenIn, HeaderMatchBody]),
        (
            "ab-tests",
            "The section `ab_test`",
            [AbTestIn, ArmIn, MatchIn, RewardBody, RewardCountersBody, ThompsonBody],
        ),
        ("shadow", "The section `shadow`", [ShadowIn]),
        ("shadow", "Compared answers", [CompareIn, SampleRequestIn]),
    ],
)
def test_every_field_of_a_section_is_told_with_its_default(name, heading, models):
    told = tables(section(page(name), heading))[: len(models)]
    assert [{row[0]: row[1] for row in table} for table in told] == list(map(fields_of, models))


@pytest.mark.parametrize("name", ["ab-tests", "blue-green", "shadow"])
def test_the_plan_of_the_other_strategies_is_as_told(name):
    spec, *_ = blocks(page(name), "json")
    told = [row[0].replace(" ", "_") for row in tables(page(name))[0]]
    made = [step.kind for step in compiled(json.loads(spec)).steps]
    # The page also tells of the wait for a person, which this spec does without.
    assert [kind for kind, _ in groupby(told)] == [kind for kind, _ in groupby(made)]


def test_the_ways_to_compare_answers_are_those_that_are_told():
    text = section(page("shadow"), "Compared answers")
    _, _, ways = tables(text)
    assert list(dict.fromkeys(row[0] for row in ways)) == [str(one) for one in By]
    told = [search(r"^by `(\w+)`", row[1])[0] for row in ways if row[0] == By.SIMILARITY]
    assert told == [str(one) for one in Similarity]


def test_the_numbers_of_a_comparison_are_its_limits():
    text = section(page("shadow"), "Compared answers")
    assert f"1 to {MOST_REQUESTS} requests, whose bodies have {MOST_SAMPLE_BYTES >> 10} KiB" in text
    assert f"left out: {THRESHOLD} |" in text
    assert f"left out: {TOLERANCE} |" in text
    assert f"at most {MOST_IGNORED} |" in text
    assert f"more than {MOST_BYTES >> 10} KiB" in " ".join(text.split())
    (after,) = search(r"with the defaults, after (\d+) requests", text)
    assert judged_after(int(after)) is Status.PASS
    assert judged_after(int(after) - 1) is Status.UNDECIDED


def judged_after(requests):
    return judge_answers(a_comparison(MOST_REQUESTS), map(a_result, range(requests))).status


def test_reactions_that_a_policy_may_have_are_those_that_compile():
    for name, _, may_be, _ in tables(section(TEXT, "Policies"))[0]:
        allowed = {one for one in Reaction if _compiles({**SHORTEST, "policies": {name: one}})}
        assert set(re.findall(r"\w+", may_be)) == allowed, name


def _compiles(body):
    try:
        compiled(body)
    except InvalidSpec:
        return False
    return True


def test_numbers_in_the_text_are_the_limits():
    assert f"1 to {MOST_STEPS} steps" in TEXT
    assert f"up to {MOST_GATES}, below" in TEXT
    (counted,) = search(r"Envoy counts answers at ([^m]*) ms", TEXT)
    assert [float(one) for one in re.findall(r"[\d.]+", counted)] == list(ENVOY_BOUNDS_MS)


@pytest.mark.parametrize(
    ("heading", "kinds"),
    [("Phases", Phase), ("Events", EventKind), ("Causes", Cause), ("Commands", Action)],
)
def test_every_name_is_told(heading, kinds):
    (table,) = tables(section(TEXT, heading))
    assert [row[0] for row in table] == [str(kind) for kind in kinds]
