"""Where everything of one sandbox is: ports, paths, the production processes' environment.

What runs on these ports stands in `parts.py`; whether a port is free is the business of `ports.py`.
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from sandbox.ports import free_ports

HOST = "127.0.0.1"
PROJECT = Path(__file__).resolve().parents[1]
HIGHEST_PORT = 65_535

TEMPORAL_NAMESPACE = "default"
DATABASE = "tidegate"


class LayoutError(Exception):
    """A setting of the sandbox cannot be used; the message names the variable and its rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSetting:
    variable: str
    default: int


PORT_SETTINGS: Mapping[str, PortSetting] = {
    "api_port": PortSetting(variable="TIDEGATE_API_PORT", default=8000),
    "temporal_port": PortSetting(variable="TIDEGATE_TEMPORAL_PORT", default=7233),
    "temporal_ui_port": PortSetting(variable="TIDEGATE_TEMPORAL_UI_PORT", default=8233),
    "temporal_http_port": PortSetting(variable="TIDEGATE_TEMPORAL_HTTP_PORT", default=7243),
    "temporal_metrics_port": PortSetting(variable="TIDEGATE_TEMPORAL_METRICS_PORT", default=9465),
    "gateway_port": PortSetting(variable="TIDEGATE_GATEWAY_PORT", default=1975),
    "prometheus_port": PortSetting(variable="TIDEGATE_PROMETHEUS_PORT", default=9090),
    "kubernetes_port": PortSetting(variable="TIDEGATE_KUBERNETES_PORT", default=6443),
    "postgres_port": PortSetting(variable="TIDEGATE_POSTGRES_PORT", default=5433),
    "envoy_admin_port": PortSetting(variable="TIDEGATE_ENVOY_ADMIN_PORT", default=19_901),
    "worker_metrics_port": PortSetting(variable="TIDEGATE_WORKER_METRICS_PORT", default=9464),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All ports are on 127.0.0.1; `downloads` outlives a home, so that tests need not fetch."""

    home: Path
    downloads: Path
    api_port: int
    temporal_port: int
    temporal_ui_port: int
    temporal_http_port: int
    temporal_metrics_port: int
    gateway_port: int
    prometheus_port: int
    kubernetes_port: int
    postgres_port: int
    envoy_admin_port: int
    worker_metrics_port: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """The layout that TIDEGATE_HOME and the TIDEGATE_*_PORT variables ask for."""
        variables = os.environ if environment is None else environment
        home = _home(variables)
        ports = {name: _port(setting, variables) for name, setting in PORT_SETTINGS.items()}
        _refuse_shared_ports(ports)
        return cls(home=home, downloads=home / "downloads", **ports)

    @classmethod
    def for_tests(cls, home: Path) -> Self:
        """Ports that are free now, state in `home`, downloads of the project's own sandbox."""
        names = list(PORT_SETTINGS)
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        return cls(home=home, downloads=_home(os.environ) / "downloads", **ports)

    @property
    def logs_dir(self) -> Path:
        return self.home / "logs"

    @property
    def run_file(self) -> Path:
        """Names the processes of the running sandbox; `down` and the next `up` read it."""
        return self.home / "up.json"

    @property
    def postgres_dir(self) -> Path:
        return self.home / "postgres"

    @property
    def temporal_db(self) -> Path:
        return self.home / "temporal" / "temporal.sqlite"

    @property
    def envoy_dir(self) -> Path:
        return self.home / "envoy"

    @property
    def envoy_xds_dir(self) -> Path:
        """Envoy watches cds.json, lds.json and rds.json here; replace them by atomic renames."""
        return self.envoy_dir / "xds"

    @property
    def prometheus_dir(self) -> Path:
        return self.home / "prometheus"

    @property
    def prometheus_targets_dir(self) -> Path:
        """Each *.json here is a list of scrape targets (file_sd) for the model servers."""
        return self.prometheus_dir / "targets"

    @property
    def kubernetes_state_file(self) -> Path:
        return self.home / "kubernetes" / "state.sqlite"

    @property
    def kubeconfig(self) -> Path:
        return self.home / "kubeconfig"

    @property
    def model_servers_dir(self) -> Path:
        """Records and logs of the processes that serve InferenceServices."""
        return self.home / "model-servers"

    @property
    def first_steps_file(self) -> Path:
        """Shell variables with the seeded ids; the README's first calls use them."""
        return self.home / "first-steps.sh"

    @property
    def migrations_dir(self) -> Path:
        return PROJECT / "migrations"

    @property
    def api_url(self) -> str:
        return f"http://{HOST}:{self.api_port}"

    @property
    def temporal_address(self) -> str:
        return f"{HOST}:{self.temporal_port}"

    @property
    def temporal_ui_url(self) -> str:
        return f"http://{HOST}:{self.temporal_ui_port}"

    @property
    def gateway_url(self) -> str:
        return f"http://{HOST}:{self.gateway_port}"

    @property
    def envoy_admin_url(self) -> str:
        return f"http://{HOST}:{self.envoy_admin_port}"

    @property
    def prometheus_url(self) -> str:
        return f"http://{HOST}:{self.prometheus_port}"

    @property
    def kubernetes_url(self) -> str:
        return f"http://{HOST}:{self.kubernetes_port}"

    def database_password(self) -> str:
        """The generated password of the sandbox's database, made at the first call."""
        return secret_file(self.postgres_dir / "password")

    def database_url(self) -> str:
        password = self.database_password()
        return f"postgresql://tidegate:{password}@{HOST}:{self.postgres_port}/{DATABASE}"

    def production_environment(self) -> dict[str, str]:
        """What the worker and the API are told: the same variables as in a real installation."""
        return {
            "TIDEGATE_DATABASE_URL": self.database_url(),
            "TIDEGATE_TEMPORAL_ADDRESS": self.temporal_address,
            "TIDEGATE_TEMPORAL_NAMESPACE": TEMPORAL_NAMESPACE,
            "TIDEGATE_TEMPORAL_UI_URL": self.temporal_ui_url,
            "TIDEGATE_PROMETHEUS_URL": self.prometheus_url,
            # Nothing here plays the AI gateway's own metrics; the models count their tokens.
            "TIDEGATE_TOKEN_METRICS": "vllm",
            "TIDEGATE_KUBECONFIG": str(self.kubeconfig),
            "TIDEGATE_API_HOST": HOST,
            "TIDEGATE_API_PORT": str(self.api_port),
            "TIDEGATE_WORKER_METRICS_PORT": str(self.worker_metrics_port),
        }

    def ports(self) -> dict[str, int]:
        """Every port by its field name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name in PORT_SETTINGS}


def secret_file(path: Path) -> str:
    """The secret kept in `path`, readable by its owner only; made at the first call."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        secret = secrets.token_urlsafe(24)
        file.write(secret)
    return secret


def _home(variables: Mapping[str, str]) -> Path:
    given = variables.get("TIDEGATE_HOME", "")
    return Path(given).expanduser().resolve() if given else PROJECT / ".tidegate"


def _port(setting: PortSetting, variables: Mapping[str, str]) -> int:
    given = variables.get(setting.variable, "").strip()
    if not given:
        return setting.default
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= HIGHEST_PORT:
        raise LayoutError(
            f"{setting.variable} must be a whole number from 1 to {HIGHEST_PORT}, not {given!r}"
        )
    return int(given)


def _refuse_shared_ports(ports: Mapping[str, int]) -> None:
    seen: dict[int, str] = {}
    for name, port in ports.items():
        variable = PORT_SETTINGS[name].variable
        if port in seen:
            raise LayoutError(f"{seen[port]} and {variable} both say {port}; they must differ")
        seen[port] = variable
