"""The API under requests that its own document invites: single ones, and chains along its links.

No case may meet a status, a body, a header or a media type that the document does not promise.
"""

import asyncio
import re
import zlib
from collections.abc import Coroutine, Mapping
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode

from api.app import create_app
from tests.api.caller import PREFIX, Caller, canary, service_of

SEED = 20261125
PATIENCE_SECONDS = 30
UUID_LIKE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NAMES = ["canary", "stable"]
NAMED = re.compile(r'"(?:\w*id|variant_name)":"([^"]+)"')
SOME = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHAINS = settings(SOME, max_examples=40, stateful_step_count=8)
SCHEMA = schemathesis.openapi.from_dict(
    create_app().openapi(), config=SchemathesisConfig(seed=SEED)
)
OPERATIONS = {
    made.ok().label: made.ok()
    for made in SCHEMA.get_all_operations()
    if isinstance(made, Ok) and made.ok().path.startswith(PREFIX)
}
load_all_checks()
OTHERS = CHECKS.get_by_names(
    ["positive_data_acceptance"]  # rules between fields, or on what there is, are in no schema
)


class World:
    """The application, asked from another thread than its own, in the name of a project with things.

    Ids that a case makes up are mostly replaced by those of things of the right kind: a request for
    what does not exist tries little.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http, self._loop = http, asyncio.get_running_loop()
        self._api = Caller(http)
        # The ids by the fields and parameters that take them; and what else a path may name.
        self._known: dict[str, list[str]] = {}
        self._named: dict[str, list[str]] = {}
        self._shown: set[str] = set()
        self.succeeded: set[str] = set()

    def begin(self) -> None:
        """Make a project of its own, so that nothing is left of what was tried before."""
        self._run(_give_names_back(self._api))
        self._api = Caller(self._http)
        ids = self._run(_things(self._api))
        self._known = _by_field(ids)
        self._named = {
            "variant_name": NAMES,
            "service": [ids["service"], "talk"],
            "name": ["claude"],
            "group_name": ["gpu-pool-a"],
            "template_name": ["slo"],
            "global_template_name": ["slo"],
        }
        self._shown.clear()

    def prepare(self, case: Any) -> None:
        if "Project-ID" in case.headers:
            case.headers["Project-ID"] = self._api.project
        if case.query.get("follow"):
            case.query["follow"] = False  # a stream of what has not ended does not end
        self._settle(case.path_parameters, self._known | self._named)
        if isinstance(case.body, dict):
            self._settle(case.body, self._known)
            if isinstance(weights := case.body.get("weights"), dict):
                case.body["weights"] = dict(zip(NAMES, weights.values(), strict=False))

    def _settle(self, fields: dict[str, Any], things: Mapping[str, list[str]]) -> None:
        for name in fields.keys() & things.keys():
            value, known = fields[name], things[name]
            if isinstance(value, str) and self._made_up(name, value):
                chosen = zlib.crc32(value.encode(errors="replace"))
                fields[name] = known[chosen % len(known)] if chosen % 8 else value

    def _made_up(self, name: str, value: str) -> bool:
        """Whether it is well formed, and nothing that an answer has shown."""
        fits = name not in self._known or UUID_LIKE.fullmatch(value)
        return bool(fits) and value not in self._shown

    def send(self, case: Any) -> Response:
        options = case.as_transport_kwargs(base_url="http://api.test")
        sent: Any = requests.Request(**options).prepare()
        call = self._http.request(
            sent.method, sent.url, headers=dict(sent.headers), content=sent.body
        )
        answer = self._run(call)
        self._shown.update(NAMED.findall(answer.text))
        if answer.is_success:
            self.succeeded.add(case.operation.label)
        return Response.from_any(answer)

    def _run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(PATIENCE_SECONDS)


async def _give_names_back(api: Caller) -> None:
    """Virtual models are named once on a gateway, whatever the project."""
    for model in (await api.get("/virtual_models?limit=100")).json()["items"]:
        gone = await api.delete(f"/virtual_models/{model['name']}")
        assert gone.status_code == 204, gone.text


async def _things(api: Caller) -> dict[str, str]:
    """A served model with its config, another one whose rollout runs, and a virtual model."""
    ids = await api.served()
    service = await api.made("/inference_services", service_of(ids, name="talk"))
    config = await api.made("/traffic_configs", {"inference_service_id": service["id"]})
    rollouts = f"/traffic_configs/{config['id']}/rollouts"
    rollout = await api.made(rollouts, canary(ids["v2"]))
    await api.made("/virtual_models", {"name": "claude"})
    wish = {"ai_service_backend_name": "aws"}
    model = await api.made("/virtual_models/claude/backends", wish)
    await api.made("/rollout_groups", {"name": "gpu-pool-a", "limit": 1})
    span = {"starts_at": "2026-11-27T00:00:00Z", "ends_at": "2026-11-30T00:00:00Z"}
    window = await api.made("/freeze_windows", {"name": "black-friday", **span})
    ids["window"] = window["id"]
    for folder in ("/gate_templates", "/global/gate_templates"):
        gates = [{"name": "errors", "metric": "error_rate", "limit": 0.02}]
        kept = await api.post(folder, {"name": "slo", "gates": gates})
        assert kept.status_code in {200, 201, 409}, kept.text  # global ones are not new each time
    return {**ids, "rollout": rollout["id"], "backend": model["backends"][0]["id"]}


def _by_field(ids: Mapping[str, str]) -> dict[str, list[str]]:
    versions = [ids[name] for name in ("v1", "v2", "v3")]
    return {
        "model_id": [ids["model"]],
        "registered_model_id": [ids["model"]],
        "version_id": versions,
        "model_version_id": versions[1:],
        "target_version_id": versions[1:],
        "stable_version_id": versions[:1],
        "environment_id": [ids["environment"]],
        "serving_environment_id": [ids["environment"]],
        "service_id": [ids["service"]],
        "inference_service_id": [ids["service"]],
        "config_id": [ids["config"]],
        "traffic_config_id": [ids["config"]],
        "rollout_id": [ids["rollout"]],
        "window_id": [ids["window"]],
        "backend_id": [ids["backend"]],
    }


@pytest.fixture
async def world(http):
    return World(http)


@pytest.mark.parametrize("label", OPERATIONS)
async def test_an_answer_is_as_documented(world, label):
    operation = OPERATIONS[label]

    def tried(mode: GenerationMode) -> None:
        @SOME
        @given(case=operation.as_strategy(generation_mode=mode))
        def every(case: Any) -> None:
            world.prepare(case)
            case.validate_response(world.send(case), excluded_checks=OTHERS)

        world.begin()
        every()

    for mode in GenerationMode:
        await asyncio.to_thread(tried, mode)


async def test_a_chain_of_calls_is_answered_as_documented(world):
    machine: Any = SCHEMA.as_state_machine()

    class Chain(machine):  # type: ignore[misc]  # made at run time, from the document
        def setup(self):
            world.begin()

        def before_call(self, case):
            world.prepare(case)

        def call(self, case, **_):
            return world.send(case)

        def validate_response(self, response, case, **_):
            case.validate_response(response, excluded_checks=OTHERS, recorder=self.recorder)

    await asyncio.to_thread(Chain.run, settings=CHAINS)
    # About half of them do; ids are random, so not the same ones each time.
    assert len(world.succeeded) > len(OPERATIONS) / 3, "the chains are broken, not the API"
