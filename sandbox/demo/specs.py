"""What the demo asks for and what must become of it: the bodies of the three POST /rollouts."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

SLOW_OVER_MS = 250

CANARY: Mapping[str, Any] = MappingProxyType(
    {
        "strategy": "canary",
        # Each soak ends as soon as both gates pass; 60 s is only how long "undecided" may last.
        # 10 % of 300 requests/s are 30 a second: about 500 are needed below, some 15 s.
        "steps": [
            {"weight": 10, "soak_seconds": 60},
            {"weight": 50, "soak_seconds": 60},
        ],
        "gates": [
            # Fewer than 1 % errors are nobody's concern here. The default floor of 0.1 % would be
            # as easy to write, but to prove it takes ten times the requests: minutes, not seconds.
            {"name": "errors", "metric": "error_rate", "against_stable": {"floor": 0.01}},
            # A healthy answer takes 30 to 50 ms, a slow one 350 to 450. The bound lies between
            # them at one that Envoy counts at, far enough up that the hiccups of a busy laptop,
            # which hit both versions, are not counted.
            {
                "name": "latency",
                "metric": "latency",
                "slow_over_ms": SLOW_OVER_MS,
                "against_stable": {"floor": 0.02},
            },
        ],
        "policies": {
            # As often as Prometheus scrapes here: a bad version is caught within seconds.
            "probe_interval_seconds": 1,
            # In production the former stable is kept for longer, as an instant way back.
            "scale_down_delay_seconds": 2,
            "drain_seconds": 1,
            "deadline_seconds": 90,
            # These answer from the first request on as they always will, and fail independently.
            "warm_up_seconds": 0,
            "overdispersion": 1,
        },
        "actor": "demo",
    }
)


class Ending(StrEnum):
    """The phases that a rollout of the demo must end in."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"

    @property
    def words(self) -> str:
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One rollout of the demo. `gate` is the gate that must fail, where one must."""

    version: str
    ending: Ending
    promise: str
    gate: str | None = None

    def body(self, version_id: str) -> dict[str, Any]:
        """The body of the call that starts it."""
        return {**CANARY, "target_version_id": version_id, "reason": self.promise}


TRIALS = (
    Trial(
        version="v2",
        ending=Ending.PROMOTED,
        promise="healthy, so its evidence must promote it",
    ),
    Trial(
        version="v3-errors",
        ending=Ending.ROLLED_BACK,
        promise="fails 30 % of its requests, so it must be rolled back",
        gate="errors",
    ),
    Trial(
        version="v4-slow",
        ending=Ending.ROLLED_BACK,
        promise="takes ten times as long, so it must be rolled back",
        gate="latency",
    ),
)
