"""Finding moments in what clients and the store have seen. Pure: lists in, seconds out."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from sandbox.load import Outcome

_BAD = 500
_NO_ANSWER = 0


def first_bad(outcomes: Iterable[Outcome], variant: str, *, since: float) -> float | None:
    """When a client had the first bad answer of this variant to a request sent from `since` on."""
    moments = [
        each.sent_at + each.seconds
        for each in outcomes
        if each.variant == variant and each.sent_at >= since and each.status >= _BAD
    ]
    return min(moments, default=None)


def last_sent(outcomes: Iterable[Outcome], variant: str) -> float | None:
    """When the last request was sent that this variant served, whatever it answered."""
    return max((each.sent_at for each in outcomes if each.variant == variant), default=None)


def served(outcomes: Iterable[Outcome], variant: str, *, since: float) -> int:
    """How many requests that were sent from `since` on this variant served."""
    return sum(each.variant == variant and each.sent_at >= since for each in outcomes)


def failures(outcomes: Iterable[Outcome], *, but_of: str = "") -> list[Outcome]:
    """The requests that did not get a 2xx, less the answers of the variant that is meant to fail.

    What nobody answered (a broken connection, a timeout) is a failure like any other.
    """
    return [each for each in outcomes if each.status // 100 != 2 and each.variant != but_of]


def first_growth(samples: Sequence[tuple[float, float]], *, since: float) -> float | None:
    """The time of the first sample after `since` that is above where the counter stood by then.

    Samples are (time, value), in order of time. A series that begins after `since` stood at 0, as
    a proxy shows its error counter with the first error.
    """
    stood = max((value for at, value in samples if at <= since), default=0.0)
    return next((at for at, value in samples if at > since and value > stood), None)


def first_at(
    changes: Iterable[tuple[float, Mapping[str, int]]], name: str, weight: int, *, since: float
) -> float:
    """When a route was first seen, from `since` on, to give the backend `name` this weight.

    Changes are (time, weight by backend); a backend that is not named has weight 0. Raises
    LookupError when it never did.
    """
    for at, weights in changes:
        if at >= since and weights.get(name, 0) == weight:
            return at
    raise LookupError(f"{name} was never seen at {weight} %")


def weight_changes(changes: Sequence[tuple[float, Mapping[str, int]]]) -> int:
    """How often the split of a route became another one; references at 0 make no difference."""
    splits = [{name: weight for name, weight in each.items() if weight} for _, each in changes]
    return sum(before != after for before, after in pairwise(splits))
