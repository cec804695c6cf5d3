"""How good the counts behind a verdict are, and at which interval it was reached.

A FAIL keeps the circumstances of its crossing, as it keeps its numbers.
"""

from dataclasses import dataclass
from datetime import datetime

from domain.evidence.baseline import Baseline
from domain.evidence.shape import ODDS_NEEDED
from domain.gates import Gate, Metric
from domain.verdicts import Quality, Samples, Shares

WARMING_UP, SHAPE_CHANGED = "warming up", "shape changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What goes for all gates at one moment. `look` counts intervals from 1; 0: there were none.

    `shape_odds` are against "the times are distributed as stable's", whatever the direction.
    """

    look: int
    closed_at: datetime | None
    split: Shares | None
    flags: tuple[str, ...]
    shape_odds: float = 1.0


def quality_of(
    baseline: Baseline, circumstances: Circumstances, samples: Samples | None, gate: Gate
) -> Quality:
    resets = samples.resets if samples else 0
    flags = (f"resets {resets}",) if resets else ()
    if gate.metric is not Metric.ERROR_RATE and circumstances.shape_odds >= ODDS_NEEDED:
        flags = (*flags, SHAPE_CHANGED)
    return Quality(
        phi=baseline.phi,
        phi_source=baseline.phi_source,
        flags=(*circumstances.flags, *flags),
        split=circumstances.split,
    )
