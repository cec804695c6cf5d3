"""The whole cluster as a test sees it: through the API, the cluster and the Temporal CLI."""

import asyncio
import copy
import json
import signal
import time
from contextlib import asynccontextmanager

import httpx

from sandbox.caller import PREFIX, PROJECT_ID
from sandbox.seed import ENVIRONMENT
from sandbox.servers.binaries import script
from tests.cluster.hands import Hands
from tests.e2e.served import Served
from tests.e2e.waiting import until

A_BUSY_MACHINE_SECONDS = 180
HEALTHY = "latency_ms=20&jitter_ms=5"


# A kept connection may be closed by the server just as it is used again, and a POST is lost.
EACH_ANEW = httpx.Limits(max_keepalive_connections=0)


class Scene:
    """`running` is the supervisor of the parts; `begun` belongs to `together`."""

    def __init__(self, layout, running):
        self.layout = layout
        self.running = running
        self.begun = {}
        self._served = []
        self._http = httpx.AsyncClient(
            limits=EACH_ANEW,
            base_url=layout.api_url + PREFIX,
            headers={"Project-ID": PROJECT_ID},
            timeout=30,
            trust_env=False,
        )
        self.hands = Hands(layout.kubernetes_url)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.hands.__aexit__()
        await self._http.aclose()

    @asynccontextmanager
    async def stage(self):
        """The scene for one story: the models that it has served leave the cluster at its end.

        A model server that nobody asks any more still answers Prometheus every second; two
        hundred of them would take a processor from the stories that follow.
        """
        stage = copy.copy(self)
        stage._served = []
        try:
            yield stage
        finally:
            for served in stage._served:
                await served.leave()

    @asynccontextmanager
    async def without(self, part):
        """A part of the cluster is gone meanwhile; it is back even where a story ends badly."""
        await self.running.stop_part(part)
        try:
            yield
        finally:
            await self.running.start_part(part)

    @asynccontextmanager
    async def silent(self, part):
        """A part takes calls meanwhile and never answers."""
        self.running.process(part).signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.running.process(part).signal(signal.SIGCONT)

    async def call(self, method, path, body=None, **options):
        """The answer of Tidegate's API, whatever its status.

        A workflow engine without time for the call was told nothing; as its 503 says, ask again.
        """
        deadline = time.monotonic() + A_BUSY_MACHINE_SECONDS
        while True:
            answer = await self._http.request(method, path, json=body, **options)
            if not _was_too_busy(answer) or time.monotonic() > deadline:
                return answer
            await asyncio.sleep(int(answer.headers["Retry-After"]))

    async def get(self, path, **query):
        answer = await self.call("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path, **body):
        answer = await self.call("POST", path, body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def temporal(self, *words):
        """What `temporal workflow …` says, from a terminal beside the cluster."""
        process = await asyncio.create_subprocess_exec(
            *(str(script("temporal")), "workflow", *words),
            *("--address", self.layout.temporal_address, "--output", "json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complaint = await process.communicate()
        assert process.returncode == 0, complaint.decode()
        return said.decode()

    async def history(self, workflow_id):
        """The events of the workflow's present run."""
        return json.loads(await self.temporal("show", "--workflow-id", workflow_id))["events"]

    async def serve(
        self, name, *, stable=HEALTHY, candidate=HEALTHY, v3=None, protocol="openai", **config
    ):
        """A model of this name whose version v1 is served; v2 behaves as `candidate` says.

        `config` is what the traffic config is asked for beyond its service.
        """
        model = await self.post("/registered_models", name=name)
        behaviours = {"v1": stable, "v2": candidate, **({"v3": v3} if v3 else {})}
        uris = {
            version: said if "://" in said else f"sim://{name}?{said}"
            for version, said in behaviours.items()
        }
        versions = {
            version: (
                await self.post(
                    f"/registered_models/{model['id']}/versions",
                    name=version,
                    uri=uri,
                    model_format="vLLM",
                )
            )["id"]
            for version, uri in uris.items()
        }
        service = await self._deployed(
            name=name,
            serving_environment_id=await self._environment(),
            registered_model_id=model["id"],
            model_version_ids=[versions["v1"]],
            protocol=protocol,
        )
        config = await self._active_config(inference_service_id=service["id"], **config)
        served = Served(self, config, versions, is_predictive=protocol != "openai")
        self._served.append(served)
        return served

    async def _deployed(self, **wish):
        """The inference service once its version is served; a busy engine may not begin at once."""

        async def begun():
            answer = await self.call("POST", "/inference_services", wish)
            assert answer.status_code in (201, 409, 504), answer.text
            return answer.status_code == 201 or await deployed(answer.text)

        async def deployed(said=""):
            listed = (await self.get("/inference_services", name=wish["name"]))["items"]
            assert len(listed) == 1, said
            (found,) = listed
            assert found["current_state"] != "failed", found["state_reason"]
            return found if found["current_state"] == "deployed" else None

        await until(begun, f"{wish['name']} begun", within=A_BUSY_MACHINE_SECONDS)
        return await until(deployed, f"{wish['name']} deployed", within=A_BUSY_MACHINE_SECONDS)

    async def _active_config(self, **wish):
        """The traffic config once its route is in force; a busy machine may take many answers."""

        async def active():
            answer = await self.call("POST", "/traffic_configs", wish)
            assert answer.status_code in (201, 409, 504), answer.text
            listed = await self.get("/traffic_configs", **query)
            return next((one for one in listed["items"] if one["status"] == "active"), None)

        query = {"inference_service_id": wish["inference_service_id"]}
        return await until(active, "the traffic config is active", within=A_BUSY_MACHINE_SECONDS)

    async def _environment(self):
        listed = await self.get("/serving_environments")
        return next(one["id"] for one in listed["items"] if one["name"] == ENVIRONMENT)


def _was_too_busy(answer):
    return answer.status_code == 503 and answer.json()["type"].endswith(":engine-unreachable")
