"""The traffic of a trial: how it begins, what is left when an arm leaves, whom headers lead where.

Positions stay put all the way, because the gateway counts by position: the header route of an arm
that has left leads to stable.
"""

from collections.abc import Iterator, Mapping, Sequence

from domain.buckets import Owners, assign, bucket_matches
from domain.steps import ArmShares, SetWeights
from domain.traffic import HeaderMatch, HeaderRoute
from domain.trial import Trial

Weights = Mapping[str, int]
# No hash is this: it keeps the position of an arm that owns no bucket (any more).
_NO_HASH = "-"


def opening(trial: Trial, weights: Weights) -> SetWeights:
    """The traffic that a trial begins with, by the weights of all of its arms."""
    buckets = _digits(trial, assign(weights)) if trial.sticky_header else ""
    return _stated(trial, weights, left=(), buckets=buckets)


def without(trial: Trial, arms: ArmShares, leaving: Sequence[str]) -> SetWeights:
    """The same traffic when arms have left: what they had goes to stable, users included."""
    weights = {name: 0 if name in leaving else weight for name, weight in arms.weights.items()}
    gone = {_digit(trial, name) for name in leaving}
    stable = _digit(trial, trial.arms[0])
    buckets = "".join(stable if digit in gone else digit for digit in arms.buckets)
    return _stated(trial, weights, left=(*arms.left, *leaving), buckets=buckets)


def reallocated(trial: Trial, arms: ArmShares, weights: Weights) -> SetWeights:
    """The same traffic at other weights; of the users who stick as few as must are moved."""
    buckets = arms.buckets
    if buckets:
        buckets = _digits(trial, assign(weights, _owners(trial, buckets)))
    return _stated(trial, weights, left=arms.left, buckets=buckets)


def header_routes(
    trial: Trial, arms: ArmShares, workloads: Mapping[str, str]
) -> tuple[HeaderRoute, ...]:
    """The routes of all arms that are reached by a header, in the order of the trial.

    `workloads` are those of all arms by name.
    """
    stable = workloads[trial.arms[0]]
    return tuple(
        HeaderRoute(
            name=name,
            headers=headers,
            workload=stable if name in arms.left else workloads[name],
        )
        for name, headers in _matches(trial, arms)
    )


def position(trial: Trial, arm: str) -> int | None:
    """The position of an arm's header route, None where no header leads to it."""
    if trial.sticky_header:
        return trial.arms.index(arm)
    return list(trial.matches).index(arm) if arm in trial.matches else None


def _matches(trial: Trial, arms: ArmShares) -> Iterator[tuple[str, tuple[HeaderMatch, ...]]]:
    if not trial.sticky_header:
        yield from trial.matches.items()
        return
    owned = bucket_matches(trial.sticky_header, _owners(trial, arms.buckets))
    nobody = (HeaderMatch(name=trial.sticky_header, value=_NO_HASH),)
    yield from ((name, owned.get(name, nobody)) for name in trial.arms)


def _stated(trial: Trial, weights: Weights, *, left: tuple[str, ...], buckets: str) -> SetWeights:
    challengers = {name: weights.get(name, 0) for name in trial.arms[1:]}
    shares = ArmShares(weights=challengers, left=left, buckets=buckets)
    return SetWeights(candidate=sum(challengers.values()), arms=shares)


def _digits(trial: Trial, owners: Owners) -> str:
    return "".join(_digit(trial, name) for name in owners)


def _digit(trial: Trial, name: str) -> str:
    return str(trial.arms.index(name))  # ten arms at most


def _owners(trial: Trial, buckets: str) -> Owners:
    return tuple(trial.arms[int(digit)] for digit in buckets)
