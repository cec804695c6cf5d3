"""What an installation sets, all of it: environment variables with the prefix TIDEGATE_."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    UrlConstraints,
    ValidationError,
    ValidationInfo,
)
from pydantic.networks import AnyUrl
from pydantic_core import from_json
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.allowed_hosts import AllowedHosts
from domain.metrics import TokenSource

PREFIX = "TIDEGATE_"
Port = Annotated[int, Field(ge=1, le=65535)]
HttpUrl = Annotated[AnyUrl, UrlConstraints(allowed_schemes=["http", "https"], host_required=True)]


def _require_postgres(url: SecretStr) -> SecretStr:
    if not re.fullmatch(r"postgres(ql)?://\S+", url.get_secret_value()):
        raise ValueError("must be postgresql://user:password@host:port/database")
    return url


PostgresUrl = Annotated[SecretStr, AfterValidator(_require_postgres)]
Address = Annotated[str, Field(pattern=r"^[^\s:/]+:\d{1,5}$")]
Label = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]


Amount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Price(BaseModel):
    """What a million tokens cost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Amount
    output: Amount
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"


def _from_json(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    try:
        return from_json(given)
    except ValueError:
        raise ValueError('must be JSON, such as {"chat": {"input": 3, "output": 15}}') from None


Prices = Annotated[dict[str, Price], NoDecode, BeforeValidator(_from_json)]


def _hosts(given: Any) -> Any:
    return AllowedHosts.read(given) if isinstance(given, str) else given


def _require_key_for_hooks(key: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    """A receiver must be able to tell our calls from anybody's: without a key there are none."""
    if key is None and info.data.get("hooks_allowed_hosts"):
        raise ValueError("must be set where hooks are allowed: every call is signed with it")
    if key is not None and len(key.get_secret_value()) < SHORTEST_KEY:
        raise ValueError(f"must have at least {SHORTEST_KEY} characters")
    return key


SHORTEST_KEY = 32
Hosts = Annotated[AllowedHosts, NoDecode, BeforeValidator(_hosts)]
SigningKey = Annotated[
    SecretStr | None, Field(validate_default=True), AfterValidator(_require_key_for_hooks)
]


class SettingsError(Exception):
    """The environment does not make sense; the message names each variable and what it needs."""


class Settings(BaseSettings):
    """Defaults fit the sandbox on one machine, except for the database, which has none."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    database_url: PostgresUrl
    """PostgreSQL, as postgresql://user:password@host:port/database."""
    database_connections: Annotated[int, Field(ge=2, le=200)] = 10
    """The most connections that one process holds to PostgreSQL."""

    temporal_address: Address = "127.0.0.1:7233"
    """Temporal's gRPC frontend, as host:port."""
    temporal_namespace: Annotated[str, Field(min_length=1)] = "default"
    """The Temporal namespace that the rollouts live in."""
    temporal_ui_url: HttpUrl = AnyUrl("http://127.0.0.1:8233")
    """The Temporal UI as people reach it; only for links."""

    prometheus_url: HttpUrl = AnyUrl("http://127.0.0.1:9090")
    """The Prometheus that gates, metrics and charts are read from."""
    prometheus_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10
    """How long one query may take before the store counts as silent, in seconds."""
    token_metrics: TokenSource = TokenSource.GEN_AI
    """Who counts tokens: gen_ai (the AI gateway) or vllm (the model servers)."""
    token_prices: Prices | None = None
    """Prices of a million tokens by model, as JSON; without them no cost is told."""

    kubeconfig: Path | None = None
    """A kubeconfig file; without it the pod's own service account is used."""
    kubernetes_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10
    """How long one call to the Kubernetes API may take, in seconds."""

    gateway_name: Label = "tidegate-gateway"
    """The Gateway object that routes attach to."""
    gateway_namespace: Label = "tidegate"
    """The namespace of that Gateway."""

    hooks_allowed_hosts: Hosts | None = None
    """Hosts that hooks may be sent to, as host, *.domain or host:port; without them, no hooks."""
    hooks_signing_key: SigningKey = None
    """The key that calls of hooks are signed with; must be set where hosts are allowed."""

    api_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """The address that the API listens on; loopback unless told otherwise."""
    api_port: Port = 8000
    """The port that the API listens on."""
    worker_metrics_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """The address that the worker's Prometheus metrics are served on."""
    worker_metrics_port: Port = 9464
    """The port that the worker's Prometheus metrics are served on."""

    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    """The least severe message that is logged: debug, info, warning or error."""
    log_format: Annotated[str, Field(pattern="^(text|json)$")] = "text"
    """How a message is logged: text (key=value) or json; one line either way."""


def read_settings() -> Settings:
    """The settings of this process. Raises SettingsError that names each wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"  {_variable(e['loc'])}: {_wrong(e)}" for e in error.errors()]
        raise SettingsError("\n".join(["the environment does not make sense:", *lines])) from None


def _variable(location: tuple[int | str, ...]) -> str:
    return PREFIX + "_".join(str(part) for part in location).upper()


def _wrong(error: Any) -> str:
    """What is wrong, without the value: it may be a secret."""
    return "must be set" if error["type"] == "missing" else str(error["msg"])
