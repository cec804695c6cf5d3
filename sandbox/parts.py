"""Every part of the cluster in one table: what is started, on which ports, after which others."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from sandbox.layout import HOST, PROJECT, Layout
from sandbox.probe import answers
from sandbox.process import OnDeath, ProcessSpec
from sandbox.record import Say
from sandbox.servers import envoy, postgres, prometheus, temporal
from sandbox.supervisor import Part, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """`ports` are fields of Layout; `build` may say a sentence that people should read."""

    build: Callable[[Layout, Say], Part]
    ports: tuple[str, ...] = ()


def _postgres(layout: Layout, say: Say) -> Part:
    server = postgres.of_layout(layout)
    if server.place.note:
        say(server.place.note)
    return server.spec()


def _migrations(layout: Layout, _: Say) -> Part:
    async def run() -> None:
        await postgres.migrate(layout.database_url(), layout.migrations_dir)

    return Step(name="migrations", run=run, after=frozenset({"postgres"}))


def _kubernetes(layout: Layout, _: Say) -> Part:
    return _python(
        "kubernetes",
        "-m",
        "sandbox.kube",
        *("--port", str(layout.kubernetes_port)),
        *("--state-file", str(layout.kubernetes_state_file)),
        *("--kubeconfig", str(layout.kubeconfig)),
        ready=f"{layout.kubernetes_url}/readyz",
    )


def _controllers(layout: Layout, _: Say) -> Part:
    spec = _python(
        "controllers",
        "-m",
        "sandbox.controllers",
        *("--kubeconfig", str(layout.kubeconfig)),
        *("--state-dir", str(layout.home / "controllers")),
        *("--envoy-xds-dir", str(layout.envoy_xds_dir)),
        *("--envoy-admin", layout.envoy_admin_url),
        *("--prometheus-targets-dir", str(layout.prometheus_targets_dir)),
        ready=f"{layout.kubernetes_url}/readyz",
        after=frozenset({"kubernetes", "envoy", "prometheus"}),
    )
    # Its children are the model servers: traffic must not notice that a controller died.
    return replace(spec, children_outlive=True)


def _worker(layout: Layout, _: Say) -> Part:
    return _python(
        "worker",
        "worker.py",
        ready=f"http://{HOST}:{layout.worker_metrics_port}/metrics",
        environment=layout.production_environment(),
        after=frozenset({"migrations", "temporal", "kubernetes"}),
        # It finishes the writes that it has begun, for up to 15 s.
        stop_grace=timedelta(seconds=20),
    )


def _api(layout: Layout, _: Say) -> Part:
    return _python(
        "api",
        "-m",
        "api",
        ready=f"{layout.api_url}/readyz",
        environment=layout.production_environment(),
        after=frozenset({"migrations", "temporal", "kubernetes"}),
    )


def _python(
    name: str,
    *arguments: str,
    ready: str,
    environment: Mapping[str, str] | None = None,
    after: frozenset[str] = frozenset(),
    stop_grace: timedelta = timedelta(seconds=10),
) -> ProcessSpec:
    """A program of this project, with the project's root as its import path."""
    return ProcessSpec(
        name=name,
        argv=(sys.executable, *arguments),
        cwd=PROJECT,
        environment={**(environment or {}), "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"},
        ready=answers(ready),
        after=after,
        stop_grace=stop_grace,
        on_death=OnDeath.RESTART,
    )


PARTS: Mapping[str, Recipe] = {
    "postgres": Recipe(build=_postgres, ports=("postgres_port",)),
    "migrations": Recipe(build=_migrations),
    "temporal": Recipe(
        build=lambda layout, _: temporal.of_layout(layout).spec(),
        ports=("temporal_port", "temporal_ui_port", "temporal_http_port", "temporal_metrics_port"),
    ),
    "envoy": Recipe(
        build=lambda layout, _: envoy.of_layout(layout).spec(),
        ports=("gateway_port", "envoy_admin_port"),
    ),
    "prometheus": Recipe(
        build=lambda layout, _: prometheus.of_layout(layout).spec(), ports=("prometheus_port",)
    ),
    "kubernetes": Recipe(build=_kubernetes, ports=("kubernetes_port",)),
    "controllers": Recipe(build=_controllers),
    "worker": Recipe(build=_worker, ports=("worker_metrics_port",)),
    "api": Recipe(build=_api, ports=("api_port",)),
}
