"""kubectl can look around in the cluster and change it."""

import asyncio
import json
import shutil

import pytest

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")

ISVC = """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: chat}
spec: {predictor: {minReplicas: 1}}
"""


@pytest.fixture
async def kubectl(kube_server, place, tmp_path):
    """Run kubectl in the test's namespace; returns what it printed, fails as it fails."""
    path = tmp_path / "kubeconfig"
    kube_server.write_kubeconfig(path)

    async def run(*arguments, text=""):
        process = await asyncio.create_subprocess_exec(
            *("kubectl", "--namespace", place.namespace, *arguments),
            env={
                "PATH": "/usr/bin:/bin:/usr/local/bin",
                "KUBECONFIG": str(path),
                "HOME": str(tmp_path),
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate(text.encode())
        assert process.returncode == 0, errors.decode()
        return output.decode()

    return run


async def test_it_lists_the_resources(kubectl):
    listed = await kubectl("api-resources", "--no-headers")

    assert any(line.split()[:2] == ["inferenceservices", "isvc"] for line in listed.splitlines())


async def test_it_applies_on_the_server_and_shows_what_is_there(kubectl):
    assert "serverside-applied" in await kubectl("apply", "--server-side", "-f", "-", text=ISVC)

    assert "chat" in await kubectl("get", "isvc")
    shown = json.loads(await kubectl("get", "isvc", "chat", "-o", "json", "--show-managed-fields"))
    assert shown["metadata"]["managedFields"][0]["manager"] == "kubectl"
    assert "minReplicas: 1" in await kubectl("get", "isvc", "chat", "-o", "yaml")


async def test_it_applies_by_itself_and_changes_what_changed(kubectl):
    assert "created" in await kubectl("apply", "-f", "-", text=ISVC)
    assert "unchanged" in await kubectl("apply", "-f", "-", text=ISVC)
    assert "configured" in await kubectl("apply", "-f", "-", text=ISVC.replace(": 1}", ": 2}"))

    field = "jsonpath={.spec.predictor.minReplicas}"
    assert await kubectl("get", "isvc", "chat", "-o", field) == "2"


async def test_it_applies_built_in_kinds_with_keyed_lists(kubectl):
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [%s]}\n"
    await kubectl("apply", "-f", "-", text=service % "{port: 80}, {port: 90}")
    await kubectl("apply", "-f", "-", text=service % "{port: 90}")

    assert await kubectl("get", "service", "a", "-o", "jsonpath={.spec.ports[*].port}") == "90"


async def test_it_labels_patches_waits_describes_and_deletes(kubectl):
    await kubectl("apply", "-f", "-", text=ISVC)
    await kubectl("label", "isvc", "chat", "tier=gold")
    ready = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'
    await kubectl(
        "patch", "isvc", "chat", "--subresource", "status", "--type", "merge", "-p", ready
    )

    await kubectl("wait", "isvc/chat", "--for=condition=Ready", "--timeout=5s")
    described = await kubectl("describe", "isvc", "chat")
    await kubectl("delete", "isvc", "-l", "tier=gold")

    assert "tier=gold" in described
    assert await kubectl("get", "isvc", "-o", "name") == ""


async def test_it_explains_the_fields_that_the_schema_knows(kubectl):
    assert "minReplicas" in await kubectl("explain", "isvc.spec.predictor")
