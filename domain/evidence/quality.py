"""How good the counts behind a verdict are, and at which interval it was reached.

A FAIL keeps the circumstances of its crossing, as it keeps its numbers.
"""

from dataclasses import dataclass
from datetime import datetime

from domain.evidence.baseline import Baseline
from domain.verdicts import Quality, Samples, Shares

WARMING_UP = "warming up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What goes for all gates at one moment. `look` counts intervals from 1; 0: there were none."""

    look: int
    closed_at: datetime | None
    split: Shares | None
    flags: tuple[str, ...]


def quality_of(
    baseline: Baseline, circumstances: Circumstances, samples: Samples | None
) -> Quality:
    resets = samples.resets if samples else 0
    flags = (f"resets {resets}",) if resets else ()
    return Quality(
        phi=baseline.phi,
        phi_source=baseline.phi_source,
        flags=(*circumstances.flags, *flags),
        split=circumstances.split,
    )
