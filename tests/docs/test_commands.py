"""Commands on the pages can be given: routes, bodies, signals and names exist."""

import json
import re
from uuid import UUID

import jsonpatch
import pytest
from pydantic import BaseModel, TypeAdapter
from temporalio.workflow import _Definition

from adapters.aigateway.manifests import READING, ai_gateway_route
from adapters.gateways.manifests import Gateway
from adapters.kubernetes.documents import MANAGED_BY, MANAGER
from api.app import create_app
from api.routes import PREFIX
from api.schemas.analysis import BacktestIn
from api.schemas.fleet import FreezeWindowIn, RolloutGroupIn
from api.schemas.gate_templates import GateTemplateIn, GateTemplatePatch
from api.schemas.outlooks import AnalysisPlanIn
from api.schemas.rollouts import ApproveIn, CommandIn, PromoteIn, RetryIn, RolloutIn
from api.schemas.services import InferenceServicePatch
from api.schemas.traffic import TrafficConfigPatch, VariantIn, WeightsPatch
from domain.rollout import Command, workflow_id
from sandbox.servers.temporal import SEARCH_ATTRIBUTES
from tests.cluster.builders import slots
from tests.docs.pages import OPERATORS, PAGES, ROOT, blocks, commands, option
from tests.plans import route
from workflows.messages import CARETAKER_ID, GUARDIAN_ID
from workflows.rollout import RolloutWorkflow

PATHS = create_app().openapi()["paths"]
CURLS = [list(words) for words in dict.fromkeys(map(tuple, commands("curl")))]
BODIES: dict[str, type[BaseModel]] = {
    "/promote": PromoteIn,
    "/abort": CommandIn,
    "/approve": ApproveIn,
    "/retry": RetryIn,
    "/rollouts": RolloutIn,
    "/backtest": BacktestIn,
    "/plan": AnalysisPlanIn,
    "/freeze_windows": FreezeWindowIn,
    "/rollout_groups": RolloutGroupIn,
    "/gate_templates": GateTemplateIn,
    "/{template_name}": GateTemplatePatch,
    "/variants": VariantIn,
    "/weights": WeightsPatch,
    "/{config_id}": TrafficConfigPatch,
    "/{service_id}": InferenceServicePatch,
}


def called(words):
    """Method, path as OpenAPI writes it, and query of a curl call."""
    (url,) = (word for word in words if word.startswith("$API"))
    path, _, query = url.removeprefix("$API").partition("?")
    template = re.compile(PREFIX + re.sub(r"\$\w+", r"\\{\\w+\\}", path))
    known = [one for one in PATHS if template.fullmatch(one)]
    assert known, f"no route is called {path}"
    method = option(words, "-X", "POST" if "-d" in words else "GET").lower()
    return method, known[0], dict(pair.split("=") for pair in query.split("&") if pair)


@pytest.mark.parametrize("words", CURLS, ids=" ".join)
def test_every_call_names_a_route_and_its_parameters(words):
    method, path, query = called(words)
    assert method in PATHS[path]
    parameters = PATHS[path][method].get("parameters", [])
    assert set(query) <= {one["name"] for one in parameters if one["in"] == "query"}
    headers = {words[i + 1].split(":")[0].lower() for i, word in enumerate(words) if word == "-H"}
    known = {one["name"].lower() for one in parameters if one["in"] == "header"}
    assert "project-id" in headers
    assert headers <= known | {"content-type"}
    assert ("-d" in words) is ("content-type" in headers)


@pytest.mark.parametrize(
    "words", [w for w in CURLS if option(w, "-d", "@").startswith("{")], ids=" ".join
)
def test_every_body_is_accepted(words):
    _, path, _ = called(words)
    model = next(model for end, model in BODIES.items() if path.endswith(end))
    model.model_validate_json(option(words, "-d"))


def test_the_address_is_the_api_s_prefix():
    for path in OPERATORS:
        for address in re.findall(
            r"^API=http://127.0.0.1:8000(.*)$", path.read_text(), re.MULTILINE
        ):
            assert address == PREFIX


def test_every_signal_is_one_and_its_input_can_be_read():
    signals = [words for words in commands("temporal") if words[1:3] == ["workflow", "signal"]]
    assert {option(words, "--name") for words in signals} == {"abort", "pause", "resume", "promote"}
    for words in signals:
        assert option(words, "--name") in _Definition.must_from_class(RolloutWorkflow).signals
        if given := option(words, "--input"):
            assert TypeAdapter(Command).validate_json(given).actor


def test_every_workflow_id_is_one_of_ours():
    known = {
        workflow_id(UUID(int=0)).replace(str(UUID(int=0)), "$CONFIG"),
        GUARDIAN_ID,
        CARETAKER_ID,
    }
    for words in commands("temporal"):
        assert option(words, "--workflow-id") in {*known, None}


def test_what_temporal_is_told_and_asked_are_our_search_attributes():
    created = [words for words in commands("temporal") if words[2] == "search-attribute"]
    assert {option(w, "--name"): option(w, "--type") for w in created} == SEARCH_ATTRIBUTES
    queries = [option(words, "--query") for words in commands("temporal")]
    asked = {query.split()[0] for query in queries if query}
    assert asked
    assert asked <= set(SEARCH_ATTRIBUTES)


def test_the_patch_by_hand_gives_stable_all_traffic():
    (words,) = (one for one in commands("kubectl") if "--patch" in one)
    gateway = Gateway(name="gateway", namespace="tidegate")
    written = ai_gateway_route(route(), slots(chat_v1=80, chat_v2=20), gateway, {})
    patched = jsonpatch.apply_patch(written, json.loads(option(words, "--patch")))
    assert READING.slots(patched) == slots(chat_v1=100, chat_v2=0)


def test_the_selector_finds_what_is_ours():
    (selector,) = {option(words, "--selector") for words in commands("kubectl")} - {None}
    assert selector == f"{MANAGED_BY}={MANAGER}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(path):
    for link in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}


def _anchor(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_folders_that_are_named_exist():
    for path in OPERATORS:
        for named in re.findall(r"`(deploy/[\w/.]+|tests/\w+/)`", path.read_text()):
            assert (ROOT / named).exists(), named


@pytest.mark.parametrize("path", OPERATORS, ids=lambda path: path.name)
def test_lines_are_short_enough_to_read(path):
    assert [line for line in path.read_text().splitlines() if len(line) > 120] == []


def test_there_are_commands_to_check():
    assert len(CURLS) > 8
    assert len(blocks((ROOT / "docs" / "runbook.md").read_text(), "sh")) > 4
