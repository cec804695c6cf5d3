"""Puts clusters and routes in force in an order that fails no request.

Clusters first; once Envoy has them, the routes that name them; once Envoy has those, and requests
already on their way had time to choose a connection, the clusters that nobody names any more go.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from sandbox.controllers.envoy_admin import EnvoyAdmin, EnvoyUnreachable
from sandbox.controllers.envoy_resources import Json
from sandbox.controllers.translation import Snapshot
from sandbox.servers.envoy import write_resources
from sandbox.servers.envoy_listener import ROUTE_CONFIG

_log = logging.getLogger(__name__)

_CLUSTERS = "cluster_manager.cds"
_ROUTES = f"http.gateway.rds.{ROUTE_CONFIG}"
_PATIENCE_SECONDS = 2.0
_FIRST_POLL_SECONDS = 0.001
_LONGEST_POLL_SECONDS = 0.05
_LINGER_SECONDS = 2.0


class NotInForce(Exception):
    """Envoy refused a file or did not take it in time; what was in force stays in force."""


class EnvoyFiles:
    def __init__(self, xds_dir: Path, admin: EnvoyAdmin) -> None:
        self._xds_dir = xds_dir
        self._admin = admin
        # What an earlier life wrote is what Envoy obeys now.
        self._clusters = {one["name"]: one for one in _resources(xds_dir / "cds.json")}
        self._table = next(iter(_resources(xds_dir / "rds.json")), {})
        self._leaving: dict[str, float] = {}

    async def apply(self, wanted: Snapshot) -> float | None:
        """Have `wanted` in force. Gives the seconds until a cluster is due to leave, if any.

        Raises NotInForce.
        """
        leaving = self._lingering(wanted.clusters)
        await self._write_clusters({**leaving, **wanted.clusters})
        if wanted.table != self._table:
            await self._write_table(wanted.table)
        if not leaving:
            return None
        return max(0.0, min(self._leaving.values()) - time.monotonic())

    def _lingering(self, wanted: Mapping[str, Json]) -> dict[str, Json]:
        """The clusters that are in force, not wanted any more, and not yet due to leave."""
        now = time.monotonic()
        later = now + _LINGER_SECONDS
        named = _named(self._table)
        gone = {name: one for name, one in self._clusters.items() if name not in wanted}
        self._leaving = {
            # The time begins when the routes in force name the cluster no more.
            name: later if name in named else self._leaving.get(name, later)
            for name in gone
        }
        return {name: one for name, one in gone.items() if self._leaving[name] > now}

    async def _write_clusters(self, clusters: Mapping[str, Json]) -> None:
        if clusters == self._clusters:
            return
        new = {n: c for n, c in clusters.items() if n not in self._clusters and _members(c)}
        await self._write("cds", _CLUSTERS, list(clusters.values()))
        await self._until(lambda: self._all_healthy(new), "its new clusters healthy")
        self._clusters = dict(clusters)

    async def _write_table(self, table: Json) -> None:
        await self._write("rds", _ROUTES, [table])
        self._table = table

    async def _write(self, kind: str, prefix: str, resources: list[Json]) -> None:
        version = str(time.time_ns())
        write_resources(self._xds_dir, kind, resources, version)
        await self._until(lambda: self._is_in_force(prefix, version), f"{kind} {version}")

    async def _is_in_force(self, prefix: str, version: str) -> bool:
        return await self._admin.version(prefix) == version

    async def _all_healthy(self, clusters: Mapping[str, Json]) -> bool:
        if not clusters:
            return True
        healthy = await self._admin.healthy_members()
        return all(healthy.get(name, 0) for name in clusters)

    async def _until(self, is_so: Callable[[], Awaitable[bool]], what: str) -> None:
        deadline, pause = time.monotonic() + _PATIENCE_SECONDS, _FIRST_POLL_SECONDS
        try:
            while not await is_so():
                if time.monotonic() > deadline:
                    raise NotInForce(
                        f"after {_PATIENCE_SECONDS:g} s Envoy has not got {what}: see its log"
                    )
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_POLL_SECONDS)
        except EnvoyUnreachable as error:
            _log.warning("cannot ask Envoy for %s: %s", what, error)


def _members(cluster: Json) -> list[Any]:
    localities = cluster["load_assignment"]["endpoints"]
    return [endpoint for locality in localities for endpoint in locality["lb_endpoints"]]


def _named(table: Json) -> set[str]:
    actions = [
        route["route"]
        for host in table.get("virtual_hosts", [])
        for route in host["routes"]
        if "route" in route
    ]
    whole = {action["cluster"] for action in actions if "cluster" in action}
    weighted = [action["weighted_clusters"] for action in actions if "weighted_clusters" in action]
    return whole | {one["name"] for choice in weighted for one in choice["clusters"]}


def _resources(path: Path) -> list[Json]:
    try:
        listed: list[Json] = json.loads(path.read_text())["resources"]
    except (OSError, ValueError, KeyError):
        return []
    return listed
