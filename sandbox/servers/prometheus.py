"""Prometheus: finds a server, writes its configuration, runs it. `debian.py` fetches one."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sandbox.layout import HOST, Layout
from sandbox.ports import free_port
from sandbox.probe import answers
from sandbox.process import OnDeath, ProcessSpec
from sandbox.process import running as running_process
from sandbox.servers import debian
from sandbox.servers.binaries import BinaryMissing

# All that a gate or a person may ask of a variant: outcomes, retries, timeouts, times, members;
# and the outcomes of each endpoint.
_CLUSTER_STATISTICS = (
    "upstream_rq_(xx|[0-9]xx|[0-9]+|completed|total|active|time|timeout|rx_reset|retry.*)",
    "retry[._]upstream_rq.*",
    "upstream_cx_(active|connect_fail|connect_timeout)",
    "membership_.*",
    "endpoint\\..+\\.rq_(success|error|timeout)",
)
_ENVOY_FILTER = rf"^cluster\..+\.({'|'.join(_CLUSTER_STATISTICS)})$|^http\.gateway\.downstream_rq_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """One job with one address ("host:port"), read every `interval_seconds`."""

    job: str
    address: str
    path: str = "/metrics"
    parameters: Mapping[str, str] = field(default_factory=dict)
    interval_seconds: int = 1
    with_histograms: bool = True

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "job_name": self.job,
            "metrics_path": self.path,
            "params": {name: [value] for name, value in self.parameters.items()},
            "scrape_interval": f"{self.interval_seconds}s",
            "static_configs": [{"targets": [self.address]}],
        }
        if not self.with_histograms:
            drop = {"source_labels": ["__name__"], "regex": ".*_bucket", "action": "drop"}
            document["metric_relabel_configs"] = [drop]
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """One server; every *.json in `targets_dir` adds targets to the job "models" (file_sd)."""

    directory: Path
    binary: Path
    port: int
    scrapes: tuple[Scrape, ...] = ()

    @property
    def targets_dir(self) -> Path:
        return self.directory / "targets"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def spec(self) -> ProcessSpec:
        flags = (
            f"--config.file={self._config_file}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            "--storage.tsdb.retention.time=2d",
            f"--web.listen-address={HOST}:{self.port}",
            "--log.level=warn",
        )
        return ProcessSpec(
            name="prometheus",
            argv=(str(self.binary), *flags),
            cwd=self.directory,
            prepare=self._prepare,
            ready=answers(f"{self.url}/-/ready"),
            on_death=OnDeath.RESTART,
        )

    @property
    def _config_file(self) -> Path:
        return self.directory / "prometheus.yml"

    async def _prepare(self) -> None:
        await asyncio.to_thread(self._write_files)

    def _write_files(self) -> None:
        self.targets_dir.mkdir(parents=True, exist_ok=True)
        models = {
            "job_name": "models",
            "file_sd_configs": [
                {"files": [str(self.targets_dir / "*.json")], "refresh_interval": "5s"}
            ],
        }
        document = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "900ms"},
            "scrape_configs": [*(scrape.document() for scrape in self.scrapes), models],
        }
        self._config_file.write_text(yaml.safe_dump(document, sort_keys=False))


def of_layout(layout: Layout) -> Prometheus:
    """Scrapes everything of the sandbox that has metrics; raises BinaryMissing."""
    scrapes = (
        envoy_scrape(layout.envoy_admin_port),
        Scrape(job="api", address=f"{HOST}:{layout.api_port}"),
        Scrape(job="worker", address=f"{HOST}:{layout.worker_metrics_port}"),
        # Its page is 700 kB, most of it histograms that nobody here reads.
        Scrape(
            job="temporal",
            address=f"{HOST}:{layout.temporal_metrics_port}",
            interval_seconds=10,
            with_histograms=False,
        ),
    )
    return Prometheus(
        directory=layout.prometheus_dir,
        binary=find_binary(layout.downloads),
        port=layout.prometheus_port,
        scrapes=scrapes,
    )


def envoy_scrape(admin_port: int) -> Scrape:
    """The statistics of Envoy's clusters, including those that are still zero."""
    return Scrape(
        job="envoy",
        address=f"{HOST}:{admin_port}",
        path="/stats/prometheus",
        parameters={"filter": _ENVOY_FILTER},
    )


@asynccontextmanager
async def running(
    directory: Path, *, downloads: Path, scrapes: tuple[Scrape, ...] = ()
) -> AsyncIterator[Prometheus]:
    """A server on a free port for tests; its first scrape comes about 5 s after its start."""
    server = Prometheus(
        directory=directory,
        binary=await asyncio.to_thread(find_binary, downloads),
        port=free_port(),
        scrapes=scrapes,
    )
    async with running_process(server.spec(), log=directory / "prometheus.log"):
        yield server


def find_binary(downloads: Path) -> Path:
    """TIDEGATE_PROMETHEUS_BIN, else `prometheus` on the PATH, else the one that was fetched."""
    given = os.environ.get("TIDEGATE_PROMETHEUS_BIN", "")
    if given:
        if not os.access(given, os.X_OK):
            raise BinaryMissing(f"TIDEGATE_PROMETHEUS_BIN must name a program, not {given}")
        return Path(given)
    on_path = shutil.which("prometheus")
    fetched = _fetched(downloads)
    if on_path is None and not fetched.exists():
        raise BinaryMissing(_HOW_TO_GET_ONE)
    return Path(on_path) if on_path else fetched


async def fetch(downloads: Path) -> bool:
    """Unpacks Debian's Prometheus where none is found yet; tells whether it had to."""
    try:
        await asyncio.to_thread(find_binary, downloads)
    except BinaryMissing:
        if os.environ.get("TIDEGATE_PROMETHEUS_BIN") or not debian.is_here():
            raise
    else:
        return False
    await asyncio.to_thread(debian.unpack, "prometheus", downloads / "prometheus")
    return True


def _fetched(downloads: Path) -> Path:
    return downloads / "prometheus" / "usr" / "bin" / "prometheus"


_HOW_TO_GET_ONE = (
    "no Prometheus server found: on Debian and Ubuntu `make setup` unpacks one; elsewhere install "
    "it (e.g. `brew install prometheus`, or a release of the Prometheus project) so that "
    "`prometheus` is on the PATH, or name the program in TIDEGATE_PROMETHEUS_BIN"
)
