"""Thompson allocation: weights that follow the chance of being best, slowly and with a floor.

P(best) is integrated, not drawn, so that the same intervals give the same weights. It moves traffic
and decides nothing: winners are declared in `domain/evidence/trial.py`, whose evidence stays valid
under weights that follow the past (docs/statistics.md, section 2d).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import chain, pairwise, takewhile

from domain.apportionment import apportion
from domain.evidence.best_arm import prob_best, weight_floor
from domain.evidence.strata import Stratum, balanced
from domain.evidence.trial_intervals import TrialInterval
from domain.traffic import FULL
from domain.trial import Reward, ThompsonRules

Weights = dict[str, int]
# A division leaves some 25 events in the history of its rollout. Where each waits for a quarter of
# the trial's age, a week has no more than twenty.
DIVISIONS_PER_AGE = 4


def next_allocation(
    intervals: Sequence[TrialInterval],
    present: Sequence[str],
    reward: Reward,
    rules: ThompsonRules,
    now: datetime,
) -> Weights | None:
    """The weights that are due now, of every arm that the trial began with; None: none are.

    `present` are the arms that have not left, in the trial's order; all others get 0, and what
    they held is shared out at once. The same intervals give the same weights, whatever has been
    written since: an answer that is the state already is to be taken as nothing to do.
    """
    if not intervals or not present:
        return None
    held = intervals[-1].weights
    before = _inherited(held, present)
    if now - intervals[0].opened_at < rules.warm_up:
        wanted = apportion([1.0] * len(present), FULL)
    elif _is_due(intervals, present, rules, now) and len(present) > 1:
        wanted = _towards(before, _target(intervals, present, reward, rules), rules.step_limit)
    else:
        wanted = apportion(before, FULL)
    weights = dict.fromkeys((*intervals[0].weights, *present), 0)
    weights |= dict(zip(present, wanted, strict=True))
    return None if _is_held(weights, held) else weights


def _inherited(held: Weights, present: Sequence[str]) -> list[float]:
    """The weights of those present, with what others held shared out in proportion."""
    kept = [held.get(arm, 0) for arm in present]
    whole = sum(kept)
    return [FULL * weight / whole for weight in kept] if whole else [FULL / len(kept)] * len(kept)


def _is_held(weights: Weights, held: Weights) -> bool:
    return all(held.get(arm, 0) == weight for arm, weight in weights.items())


def _is_due(
    intervals: Sequence[TrialInterval],
    present: Sequence[str],
    rules: ThompsonRules,
    now: datetime,
) -> bool:
    """Whether the present weights have stood long enough, or have shown enough."""
    since = list(takewhile(lambda each: each.weights == intervals[-1].weights, reversed(intervals)))
    seen = dict.fromkeys(present, 0)
    for counts in chain.from_iterable(interval.arms for interval in since):
        if counts.arm in seen:
            seen[counts.arm] += counts.total
    has_shown_enough = all(total >= rules.update_rewards for total in seen.values())
    age, stood = now - intervals[0].opened_at, now - since[-1].opened_at
    return stood >= least_stand(age, rules, has_shown_enough=has_shown_enough)


def least_stand(age: timedelta, rules: ThompsonRules, *, has_shown_enough: bool) -> timedelta:
    """How long weights stand at least in a trial of this age: ever longer, the older it is."""
    seldom = age / DIVISIONS_PER_AGE
    return seldom if has_shown_enough else max(seldom, rules.update_every)


def _target(
    intervals: Sequence[TrialInterval],
    present: Sequence[str],
    reward: Reward,
    rules: ThompsonRules,
) -> list[float]:
    """Where the weights are to go, in percent: f + (1 - K f) P(best)."""
    chances = _chances(intervals, present, reward, rules)
    return [FULL * share for share in weight_floor(chances, rules.floor / FULL)]


def _chances(
    intervals: Sequence[TrialInterval],
    present: Sequence[str],
    reward: Reward,
    rules: ThompsonRules,
) -> list[float]:
    """P(best) of those present; 0 without any data, and all alike while nothing compares them."""
    strata, importance = _strata(intervals, reward, rules)
    known = [arm for arm in present if any(stratum.totals.get(arm) for stratum in strata)]
    counts = balanced(strata, importance, known) if len(known) > 1 else None
    if counts is None:
        return [1 / len(present)] * len(present)
    chances = dict(zip(known, prob_best(*counts), strict=True))
    return [chances.get(arm, 0.0) for arm in present]


def _strata(
    intervals: Sequence[TrialInterval], reward: Reward, rules: ThompsonRules
) -> tuple[list[Stratum], list[float]]:
    """Stretches of one period and the same weights, and how much each counts for.

    Full periods count alike but for their age, whatever traffic they had.
    """
    strata: dict[tuple[int, int], tuple[float, Stratum]] = {}
    stretch = period = 0
    for before, interval in pairwise((intervals[0], *intervals)):
        stretch += interval.weights != before.weights
        period = (interval.opened_at - intervals[0].opened_at) // rules.period
        seconds, stratum = strata.get((period, stretch), (0.0, Stratum()))
        stratum.add(
            {counts.arm: counts.total for counts in interval.arms},
            {counts.arm: counts.wins(reward) for counts in interval.arms},
        )
        seconds += (interval.closed_at - interval.opened_at).total_seconds()
        strata[period, stretch] = (seconds, stratum)
    importance = [
        seconds * rules.discount ** (period - at) for (at, _), (seconds, _) in strata.items()
    ]
    return [stratum for _, stratum in strata.values()], importance


def _towards(before: Sequence[float], target: Sequence[float], limit: int) -> tuple[int, ...]:
    """Go to the target, or as far on the straight way there as the largest step may be.

    All steps shrink alike, so that the weights still sum to 100 on the way.
    """
    longest = max(abs(to - at) for at, to in zip(before, target, strict=True))
    part = 1.0 if longest <= limit else limit / longest
    moved = [at + part * (to - at) for at, to in zip(before, target, strict=True)]
    return apportion(moved, FULL)
