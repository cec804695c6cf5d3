"""Does the traffic obey the weights? Judged by the requests themselves, not by what was written."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import log, sqrt

from domain.evidence.counters import Reading, Series, SeriesRole
from domain.traffic import FULL, Place, PlaceKind, Slots

# The counts must be this much likelier under the new weight than under the one before.
LIKELIER = log(20)
# Sampling noise allowed around the weight, in standard errors, and the bias allowed beside it:
# gateways with several workers or replicas split a little unevenly.
NOISE = 3.3
UNEVENNESS = 0.15
# Below this many expected requests per side a share says nothing.
FEWEST_EXPECTED = 3.0
# A share of 0 or 1 is never certain: one stray request must not weigh infinitely.
STRAY = 0.001
MARKS = 2


class Agreement(StrEnum):
    AGREES = "agrees"
    DISAGREES = "disagrees"
    TOO_FEW = "too_few"
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Requests started since the weights were put in force."""

    candidate: int
    stable: int

    @property
    def total(self) -> int:
        return self.candidate + self.stable

    @property
    def percent(self) -> float | None:
        """The candidate's observed share, None before the first request."""
        return 100 * self.candidate / self.total if self.total else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two slots of a route: the percent of their common traffic that goes to the first, and went.

    Of three shares or more each is compared with the largest: among the requests of two slots the
    split is the same whatever the others get.
    """

    slot: int
    reference: int
    weight: float
    previous: float


def pairs(before: Slots, after: Slots) -> tuple[Pair, ...]:
    """Every slot that has weight or had some, beside the one that has most of it now."""
    old = [slot.weight for slot in before] + [0] * (len(after) - len(before))
    new = [slot.weight for slot in after] + [0] * (len(before) - len(after))
    reference = new.index(max(new))
    return tuple(
        Pair(
            slot=i,
            reference=reference,
            weight=_percent(new[i], new[reference]),
            previous=_percent(old[i], old[reference]),
        )
        for i in range(len(new))
        if i != reference and (old[i] or new[i])
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What the candidate is due, in percent of the split: requests, and copies of them all."""

    weight: int
    copies: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two places of a route, and the percent of their common requests that is the first one's.

    `due` is the percent of the split that was written for the first, `beside` for the second.
    """

    place: Place
    reference: Place
    due: int
    beside: int
    weight: float
    previous: float


def comparisons(now: Due, before: Due, *, candidate: int, stable: int) -> tuple[Comparison, ...]:
    """What of a candidate's traffic is to be seen in the requests.

    The split where the candidate has weight or had some, its copies where there are or were any.
    """
    found = []
    if now.weight or before.weight:
        found.append(_split(now.weight, before.weight, candidate, stable))
    if now.copies or before.copies:
        found.append(_copies(now, before, candidate, stable))
    return tuple(found)


def _split(weight: int, previous: int, candidate: int, stable: int) -> Comparison:
    return Comparison(
        place=Place(position=candidate),
        reference=Place(position=stable),
        due=weight,
        beside=FULL - weight,
        weight=weight,
        previous=previous,
    )


def _copies(now: Due, before: Due, candidate: int, stable: int) -> Comparison:
    """Copies beside the slot that has more of the split: every request may have one.

    They scatter less than the two sides of a split of so many requests would.
    """
    to_candidate = now.weight > FULL - now.weight
    beside, formerly = (due.weight if to_candidate else FULL - due.weight for due in (now, before))
    return Comparison(
        place=Place(kind=PlaceKind.MIRROR, position=0),
        reference=Place(position=candidate if to_candidate else stable),
        due=now.copies,
        beside=beside,
        weight=_percent(now.copies, beside),
        previous=_percent(before.copies, formerly),
    )


def _percent(part: int, other: int) -> float:
    """The part of both. Where neither had any traffic, the question is moot: nothing went there."""
    return 100 * part / (part + other) if part + other else 0.0


def agreement(share: Share, *, weight: float, previous: float) -> Agreement:
    """Compare the observed share with the weight in force and the one before it (percent).

    Agrees when the share lies within noise of the new weight and the counts are at least 20 times
    likelier under it than under the previous one; disagrees when it is the other way round. At 0
    or 100 the side without weight must see nothing.
    """
    if share.total == 0:
        return Agreement.SILENT
    fit = _fit(share, weight)
    if fit is not Agreement.AGREES or weight == previous:
        return fit
    ratio = _log_likelihood_ratio(share, weight / 100, previous / 100)
    if ratio >= LIKELIER:
        return Agreement.AGREES
    return Agreement.DISAGREES if ratio <= -LIKELIER else Agreement.TOO_FEW


def _fit(share: Share, weight: float) -> Agreement:
    """Say whether the share looks like the weight, whatever was before."""
    if weight in (0, 100):
        strays = share.candidate if weight == 0 else share.stable
        return Agreement.DISAGREES if strays else Agreement.AGREES
    target = weight / 100
    smaller = min(target, 1 - target)
    if share.total * smaller < FEWEST_EXPECTED:
        return Agreement.TOO_FEW
    noise = NOISE * sqrt(target * (1 - target) / share.total)
    off = abs(share.candidate / share.total - target)
    return Agreement.DISAGREES if off > noise + UNEVENNESS * smaller else Agreement.AGREES


def _log_likelihood_ratio(share: Share, new: float, old: float) -> float:
    new, old = (min(max(p, STRAY), 1 - STRAY) for p in (new, old))
    return share.candidate * log(new / old) + share.stable * log((1 - new) / (1 - old))


class StartedTally:
    """Requests started since the first reading, per side, whatever counters restart meanwhile.

    Started, not finished, ones: a long generation that began under the old weights may finish
    under the new ones.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, float]] = {}
        self._marks = 0
        self.share = Share(candidate=0, stable=0)
        self.advanced = False
        self.disagreements = 0

    def take(self, reading: Reading) -> Share:
        """Add what has started since the last reading and give the share so far.

        The first two samples only set marks: the interval between them may have begun under the
        weights before.
        """
        newest = self._newest()
        candidate = self._increase(reading.candidate)
        stable = self._increase(reading.stable)
        self.advanced = self._newest() > newest
        if self._marks < MARKS:
            self._marks += self.advanced
        else:
            self.share = Share(
                candidate=self.share.candidate + candidate, stable=self.share.stable + stable
            )
        return self.share

    def disagree(self) -> None:
        """Start anew from here: what was counted so far may be older than the weights."""
        self.share = Share(candidate=0, stable=0)
        self.disagreements += 1

    def _newest(self) -> float:
        return max((at for at, _ in self._last.values()), default=0.0)

    def _increase(self, series: Iterable[Series]) -> int:
        total = 0.0
        for one in series:
            if one.role is not SeriesRole.STARTED or not one.samples:
                continue
            at, value = one.samples[-1]
            _, before = self._last.get(one.key, (0.0, 0.0))
            total += value - before if value >= before else value
            self._last[one.key] = (at, value)
        return round(total)
