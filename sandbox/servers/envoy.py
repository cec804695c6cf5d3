"""Envoy as the gateway's data plane: one process that watches files for clusters and routes.

This module owns the bootstrap and the listener; clusters and routes belong to the controller that
plays Envoy AI Gateway. `envoy_listener.py` has the filters that every request passes.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.layout import HOST, Layout
from sandbox.ports import free_ports
from sandbox.probe import http_status
from sandbox.process import OnDeath, ProcessSpec
from sandbox.process import running as running_process
from sandbox.servers.binaries import packaged
from sandbox.servers.envoy_listener import ROUTE_CONFIG, listener

_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Envoy:
    """Its `xds_dir` holds cds.json, lds.json and rds.json; only renames into it are noticed."""

    directory: Path
    port: int
    admin_port: int

    @property
    def xds_dir(self) -> Path:
        return self.directory / "xds"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://{HOST}:{self.admin_port}"

    def spec(self) -> ProcessSpec:
        # Hot restart would make Envoy die with the thread that started it, and leave shared memory.
        flags = ("--concurrency", "2", "--disable-hot-restart", "--log-level", "warning")
        binary = packaged("envoy", "_bin", "envoy")
        return ProcessSpec(
            name="envoy",
            argv=(str(binary), "-c", str(self._bootstrap_file), *flags),
            prepare=self._prepare,
            ready=self._ready,
            on_death=OnDeath.RESTART,
        )

    @property
    def _bootstrap_file(self) -> Path:
        return self.directory / "bootstrap.json"

    async def _prepare(self) -> None:
        await asyncio.to_thread(self._write_files)

    def _write_files(self) -> None:
        self.xds_dir.mkdir(parents=True, exist_ok=True)
        self._bootstrap_file.write_text(json.dumps(_bootstrap(self.xds_dir, self.admin_port)))
        write_resources(self.xds_dir, "lds", [listener(self.port, self.xds_dir / "rds.json")])
        # What the controller wrote in an earlier life stays until it writes anew.
        if not (self.xds_dir / "cds.json").exists():
            write_resources(self.xds_dir, "cds", [])
        if not (self.xds_dir / "rds.json").exists():
            write_resources(self.xds_dir, "rds", [_no_routes()])

    async def _ready(self) -> bool:
        if await http_status(f"{self.admin_url}/ready") != _OK:
            return False
        return await http_status(self.url) is not None


def of_layout(layout: Layout) -> Envoy:
    return Envoy(
        directory=layout.envoy_dir, port=layout.gateway_port, admin_port=layout.envoy_admin_port
    )


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Envoy]:
    """A gateway on free ports for tests, which write its clusters and routes themselves."""
    port, admin_port = free_ports(2)
    server = Envoy(directory=directory, port=port, admin_port=admin_port)
    async with running_process(server.spec(), log=directory / "envoy.log"):
        yield server


def write_resources(
    xds_dir: Path, kind: str, resources: Iterable[Mapping[str, Any]], version: str = "0"
) -> None:
    """Replaces <kind>.json (cds, lds or rds) in one step, as Envoy's file watch wants it."""
    document = {"version_info": version, "resources": list(resources)}
    partial = xds_dir / f".{kind}.json.partial"
    partial.write_text(json.dumps(document))
    os.replace(partial, xds_dir / f"{kind}.json")  # noqa: PTH105 - the name says that it replaces


def _bootstrap(xds_dir: Path, admin_port: int) -> dict[str, Any]:
    return {
        "node": {"id": "sandbox", "cluster": "sandbox"},
        "admin": {"address": {"socket_address": {"address": HOST, "port_value": admin_port}}},
        "dynamic_resources": {
            "cds_config": _from_file(xds_dir / "cds.json"),
            "lds_config": _from_file(xds_dir / "lds.json"),
        },
        # Histograms are merged only at a flush; the default of 5 s would blind a gate for as long.
        "stats_flush_interval": "0.25s",
    }


def _from_file(path: Path) -> dict[str, Any]:
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}


def _no_routes() -> dict[str, Any]:
    """A valid table that answers 404 to everything."""
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTE_CONFIG,
        "validate_clusters": True,
        "virtual_hosts": [{"name": "gateway", "domains": ["*"], "routes": []}],
    }
