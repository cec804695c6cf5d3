"""The simulated model: it loads, and draws for each request how that one will go."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from sandbox.behaviour import Behaviour


class LoadFailed(Exception):
    """The model cannot be loaded, as its URI demands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """How one request goes. `error_status` is 0 for one that succeeds."""

    error_status: int
    tokens: int
    first_token_seconds: float
    token_gap_seconds: float
    total_seconds: float


class Model:
    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._random = Random(None if behaviour.seed < 0 else behaviour.seed)
        self._loaded_at: float | None = None
        self._asked = 0

    @property
    def behaviour(self) -> Behaviour:
        return self._behaviour

    @property
    def is_loaded(self) -> bool:
        return self._loaded_at is not None

    async def load(self) -> None:
        """Takes `load_seconds`. Raises LoadFailed."""
        await asyncio.sleep(self._behaviour.load_seconds)
        if self._behaviour.fail_load:
            raise LoadFailed(f"model {self._behaviour.model!r} failed to load: fail_load is set")
        self._loaded_at = time.monotonic()

    def change(self, parameters: Mapping[str, object]) -> Behaviour:
        """Behave differently from the next request on. Raises BehaviourError, then unchanged."""
        self._behaviour = self._behaviour.changed(parameters)
        return self._behaviour

    def draw(self, model_name: str = "") -> Draw:
        """How a request for this model name goes."""
        behaviour, rnd = self._behaviour, self._random
        self._asked += 1
        slow = behaviour.slow_rate > 0 and rnd.random() < behaviour.slow_rate
        base_ms = behaviour.slow_ms if slow else behaviour.latency_ms
        if behaviour.jitter_ms:
            base_ms += rnd.uniform(-behaviour.jitter_ms, behaviour.jitter_ms)
        total = max(0.0, base_ms) / 1000
        delay = max(0.0, behaviour.slow_ms - behaviour.latency_ms) if slow else 0.0
        first = (behaviour.ttft_ms + delay) / 1000
        failing = self._is_failing(model_name) and rnd.random() < behaviour.error_rate
        return Draw(
            error_status=behaviour.error_status if failing else 0,
            tokens=behaviour.tokens,
            first_token_seconds=first,
            token_gap_seconds=self._token_gap(total, first),
            total_seconds=total,
        )

    def _token_gap(self, total: float, first: float) -> float:
        if self._behaviour.tokens_per_second:
            return 1 / self._behaviour.tokens_per_second
        return max(0.0, total - first) / max(1, self._behaviour.tokens - 1)

    def _is_failing(self, model_name: str) -> bool:
        behaviour = self._behaviour
        if behaviour.error_model not in ("", model_name):
            return False
        if behaviour.error_rate <= 0 or self._asked <= behaviour.error_after_requests:
            return False
        return time.monotonic() - (self._loaded_at or 0.0) >= behaviour.error_after_seconds
