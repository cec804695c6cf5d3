"""How a simulated model behaves, written as a URI: `sim://chat?latency_ms=40&error_rate=0.3`.

The grammar and its rules live here; `model_server/` acts on them.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

SCHEME = "sim"


class BehaviourError(ValueError):
    """The URI or a parameter cannot be used; the message names it and the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """An answer takes `latency_ms` ± `jitter_ms`; a share of `slow_rate` takes `slow_ms` instead.

    Streamed, the first token comes after `ttft_ms` and the others at `tokens_per_second`, or
    spread so that the last comes at the answer's end when that is 0. Errors begin once the model
    has been loaded for `error_after_seconds` and has been asked `error_after_requests` times. Where
    `error_model` is set they befall requests for that model name only: a provider serves many.
    `value` is what a predictive model predicts.
    """

    model: str
    latency_ms: float = 40.0
    jitter_ms: float = 0.0
    slow_rate: float = 0.0
    slow_ms: float = 1000.0
    ttft_ms: float = 20.0
    tokens: int = 16
    tokens_per_second: float = 0.0
    error_rate: float = 0.0
    error_status: int = 500
    error_after_seconds: float = 0.0
    error_after_requests: int = 0
    error_model: str = ""
    value: float = 1.0
    load_seconds: float = 0.0
    fail_load: bool = False
    seed: int = -1
    """-1 draws differently in each life."""

    @classmethod
    def parse(cls, uri: str) -> Self:
        """The behaviour that `uri` asks for. Raises BehaviourError."""
        parts = urlsplit(uri)
        if parts.scheme != SCHEME or not parts.netloc:
            raise BehaviourError(f"{uri!r} is no simulated model: write sim://<model>?<parameters>")
        if parts.path not in ("", "/") or parts.fragment:
            raise BehaviourError(f"{uri!r} has a path or fragment; parameters follow a '?'")
        return cls(model=parts.netloc, **_values(_pairs(parts.query)))

    def changed(self, parameters: Mapping[str, object]) -> Self:
        """The same with other parameters, as given while the model runs. Raises BehaviourError."""
        for name in parameters:
            if name in _AT_LOAD:
                raise BehaviourError(f"{name} matters only while the model loads")
        return replace(self, **_values(parameters))

    def parameters(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if name != "model"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """Bounds of a number, or of the length of a text."""

    kind: type[bool] | type[int] | type[float] | type[str]
    low: float
    high: float


_SHARE = _Rule(kind=float, low=0, high=1)
_MILLISECONDS = _Rule(kind=float, low=0, high=600_000)
_SECONDS = _Rule(kind=float, low=0, high=86_400)
_COUNT = _Rule(kind=int, low=0, high=1_000_000_000)

_RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        "latency_ms": _MILLISECONDS,
        "jitter_ms": _MILLISECONDS,
        "slow_rate": _SHARE,
        "slow_ms": _MILLISECONDS,
        "ttft_ms": _MILLISECONDS,
        "tokens": _Rule(kind=int, low=1, high=100_000),
        "tokens_per_second": _Rule(kind=float, low=0, high=1_000_000),
        "error_rate": _SHARE,
        "error_status": _Rule(kind=int, low=400, high=599),
        "error_after_seconds": _SECONDS,
        "error_after_requests": _COUNT,
        "error_model": _Rule(kind=str, low=0, high=256),
        "value": _Rule(kind=float, low=-1e9, high=1e9),
        "load_seconds": _SECONDS,
        "fail_load": _Rule(kind=bool, low=0, high=1),
        "seed": _Rule(kind=int, low=-1, high=2**63),
    }
)
_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_AT_LOAD = frozenset({"load_seconds", "fail_load", "seed"})


def _pairs(query: str) -> dict[str, object]:
    try:
        listed = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise BehaviourError(f"{query!r} is not name=value&name=value: {error}") from error
    pairs: dict[str, object] = {}
    for name, value in listed:
        if name in pairs:
            raise BehaviourError(f"{name} is given twice")
        pairs[name] = value
    return pairs


def _values(given: Mapping[str, object]) -> dict[str, Any]:
    unknown = [name for name in given if name not in _RULES]
    if unknown:
        known = ", ".join(field.name for field in fields(Behaviour) if field.name in _RULES)
        raise BehaviourError(f"unknown parameter {unknown[0]!r}; known are {known}")
    return {name: _value(name, value, _RULES[name]) for name, value in given.items()}


def _value(name: str, given: object, rule: _Rule) -> float | int | bool | str:
    if rule.kind is str:
        if not isinstance(given, str) or len(given) > rule.high:
            raise BehaviourError(f"{name} must be a text of at most {rule.high:g} characters")
        return given
    number = _number(given)
    whole = rule.kind is not float
    if number is None or not rule.low <= number <= rule.high or (whole and number % 1):
        kind = "a whole number" if whole else "a number"
        raise BehaviourError(f"{name} must be {kind} from {rule.low:g} to {rule.high:g}: {given!r}")
    return rule.kind(number)


def _number(given: object) -> float | int | None:
    if isinstance(given, bool):
        return int(given)
    if isinstance(given, str):
        return _parsed(given) if _DECIMAL.fullmatch(given) else None
    if isinstance(given, int):
        return given
    return given if isinstance(given, float) and math.isfinite(given) else None


def _parsed(text: str) -> float | int:
    return float(text) if "." in text else int(text)
