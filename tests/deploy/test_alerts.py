"""What the alerts ask for is there when both processes run, and they fire when they must."""

import asyncio
import re
from uuid import UUID

import httpx
import pytest
import yaml
from temporalio.client import Client

from adapters.prometheus import envoy
from bootstrap.converting import DATA_CONVERTER
from sandbox.layout import Layout
from sandbox.servers import prometheus
from sandbox.servers.binaries import BinaryMissing
from tests.cluster.builders import workload_in
from tests.deploy.files import DEPLOY, ROOT, alerts, metrics_in, pods
from tests.metrics.servers import until
from workflows.messages import TASK_QUEUE, DeployServiceInput, watchers_of

FOLDER = DEPLOY / "prometheus"
TESTS = ROOT / "tests" / "deploy" / "alerts.test.yml"
PATIENCE_SECONDS = 30


@pytest.fixture(scope="module")
def promtool():
    """Beside the Prometheus that the tests use."""
    try:
        server = prometheus.find_binary(Layout.from_environment().downloads)
    except BinaryMissing as missing:
        pytest.skip(str(missing))
    tool = server.with_name("promtool")
    if not tool.exists():
        pytest.skip(f"no promtool beside {server.name} to check rules with")

    async def run(*words):
        process = await asyncio.create_subprocess_exec(
            str(tool), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()

    return run


async def test_alerts_fire_when_they_must_and_only_then(promtool):
    await promtool("test", "rules", str(TESTS))


def test_every_alert_is_tried_in_both_directions():
    text = TESTS.read_text()
    for alert in alerts():
        named = re.findall(rf"\b{alert['alert']}\b", text)
        assert len(named) > 1, alert["alert"]


async def test_the_scrape_configuration_is_one(promtool, tmp_path):
    """Debian's Prometheus is built without Kubernetes discovery, so that part is left out."""
    document = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    for job in document["scrape_configs"]:
        assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(document))
    (tmp_path / "alerts.yml").write_text((FOLDER / "alerts.yml").read_text())
    await promtool("check", "config", str(tmp_path / "prometheus.yml"))


def test_what_the_gates_read_is_kept_by_the_scrape():
    jobs = _jobs()
    keep = jobs["envoy"]["metric_relabel_configs"][0]["regex"]
    asked = envoy._REQUESTS | envoy._ERRORS | {envoy._BUCKET, envoy._STARTED}
    assert [name for name in asked if not re.fullmatch(keep, name)] == []


def test_our_pods_are_those_that_the_scrape_selects():
    label, port = (rule["regex"] for rule in _jobs()["tidegate"]["relabel_configs"][:2])
    for name in ("tidegate-worker", "tidegate-api"):
        template = pods()[name]
        assert template["metadata"]["labels"]["app.kubernetes.io/part-of"] == label
        (container,) = template["spec"]["containers"]
        assert [one for one in container["ports"] if re.fullmatch(port, one["name"])]


async def test_every_metric_that_an_alert_names_is_exported(production):
    wanted = set().union(*(metrics_in(alert["expr"]) for alert in alerts()))
    assert len(wanted) > 5
    temporal = await Client.connect(production.temporal_address, data_converter=DATA_CONVERTER)
    handles = [
        # Input that nobody can read: its workflow task fails, for ever.
        await temporal.start_workflow("RolloutWorkflow", {}, id="odd", task_queue=TASK_QUEUE),
        await temporal.start_workflow(
            "DeployServiceWorkflow",
            DeployServiceInput(service_id=UUID(int=1), workload=workload_in("default")),
            id="deployed",
            task_queue=TASK_QUEUE,
        ),
    ]
    try:
        await _exported(production, wanted)
    finally:
        for handle in handles:
            await handle.terminate()


async def _exported(production, wanted):
    async with httpx.AsyncClient() as http:

        async def exported():
            return wanted <= await _names(http, production)

        await until(exported, f"all of {wanted} exported")


async def _names(http, production):
    pages = [
        await http.get(f"{url}/metrics") for url in (production.worker_url, production.api_url)
    ]
    return {name for page in pages for name in re.findall(r"^(\w+)[{ ]", page.text, re.MULTILINE)}


def test_labels_in_alerts_are_those_of_our_queues_and_activities():
    text = " ".join(alert["expr"] for alert in alerts())
    queues = set(re.findall(r'task_queue="([^"]+)"', text))
    assert queues <= {TASK_QUEUE, watchers_of(TASK_QUEUE)}
    sources = "".join(path.read_text() for path in (ROOT / "activities").glob("*.py"))
    activities = re.findall(r'activity\.defn\(name="([^"]+)"\)', sources)
    for pattern in re.findall(r'activity_type=~?"([^"]+)"', text):
        assert [name for name in activities if re.fullmatch(pattern, name)], pattern


def test_every_alert_says_what_it_means():
    for alert in alerts():
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert alert["annotations"]["summary"]


def test_sections_of_the_runbook_that_alerts_name_are_there():
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    named = [
        heading
        for alert in alerts()
        for heading in re.findall(
            r'docs/runbook\.md, "([^"]+)"', alert["annotations"].get("description", "")
        )
    ]
    assert named
    assert set(named) <= set(headings)


def _jobs():
    document = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    return {job["job_name"]: job for job in document["scrape_configs"]}
