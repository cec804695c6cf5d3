"""A trial's verdict in plain sentences: what was seen, what was required, what is missing.

Words only: every number is computed elsewhere.
"""

from collections.abc import Sequence
from dataclasses import replace

from domain.evidence.reasons import odds, percent, required
from domain.trial import Direction, Reward, RewardMetric, TrialRules
from domain.trial_verdicts import (
    ArmVerdict,
    Outcome,
    PairVerdict,
    SplitVerdict,
    Standing,
    TrialVerdict,
)

_ANY_LOOK = "95 % at any look"


def explained(verdict: TrialVerdict, reward: Reward, rules: TrialRules) -> TrialVerdict:
    """The same verdict with its reason."""
    sentences = [_seen(verdict.arms, reward), *_eliminations(verdict)]
    if gone := [each.arm for each in verdict.arms if each.standing is Standing.LEFT]:
        sentences.append(f"{_listed(gone)} left the trial.")
    sentences.append(_because(verdict, rules))
    return replace(verdict, reason=" ".join(sentences))


def _seen(arms: Sequence[ArmVerdict], reward: Reward) -> str:
    """Each arm that competes, with its counts and interval."""
    shown = [each for each in arms if each.standing is Standing.COMPETING] or list(arms)
    seen = "; ".join(f"{each.arm} {_arm(each)}" for each in shown)
    better = ", fewer is better" if reward.direction is Direction.LOWER else ""
    return f"{_rewarded(reward)}{better}: {seen}."


def _rewarded(reward: Reward) -> str:
    match reward.metric:
        case RewardMetric.SUCCESS_RATE:
            return "Answered without an error"
        case RewardMetric.FAST_RATE:
            return f"Answered within {reward.slow_over_ms:,g} ms"
        case RewardMetric.CONVERSION:
            return "Converted"


def _arm(arm: ArmVerdict) -> str:
    if arm.estimate is None:
        return "had no request"
    band = f"between {percent(arm.low)} and {percent(arm.high)}, {_ANY_LOOK}"
    return f"{percent(arm.estimate)} ({arm.good:,} of {arm.total:,}; {band})"


def _eliminations(verdict: TrialVerdict) -> list[str]:
    needed = required(verdict.odds_needed)
    return [
        f"{each.arm} is out with {_arm(each)}: evidence {odds(each.beaten_at_odds)} that "
        f"{each.beaten_by} is better; {needed} was required."
        for each in verdict.arms
        if each.beaten_at_odds is not None
    ]


def _because(verdict: TrialVerdict, rules: TrialRules) -> str:
    match verdict.outcome:
        case Outcome.WINNER:
            return f"{verdict.winner} has won: nobody else is left."
        case Outcome.EQUIVALENT:
            needed = required(verdict.margin_odds_needed)
            apart = f"less than {_points(rules)}"
            return f"They differ by {apart}: each pair reached the {needed} that were required."
        case Outcome.UNOPPOSED:
            last = _listed(verdict.competing) if verdict.competing else "Nobody"
            return f"{last} is left without a proof, as nobody remains to compare with."
        case Outcome.UNDECIDED if rules.checks_split and verdict.split.in_doubt:
            return _doubt(verdict.split)
        case Outcome.UNDECIDED:
            return _missing(verdict, rules)


def _doubt(split: SplitVerdict) -> str:
    more = "more" if split.off_by > 0 else "less"
    return (
        f"No decision while requests do not arrive as weighted: {split.arm} has had "
        f"{percent(abs(split.off_by))} {more} than its share (evidence {odds(split.odds)}, "
        f"{required(split.odds_needed)} is an alarm)."
    )


def _missing(verdict: TrialVerdict, rules: TrialRules) -> str:
    if not verdict.intervals or all(not each.total for each in verdict.arms):
        return "Nothing has been counted yet."
    lead = max(verdict.pairs, key=lambda pair: pair.odds)
    claim = f'evidence {odds(lead.odds)} for "{lead.better} is better than {lead.other}"'
    missing = f"Not enough data yet: {claim} ({required(verdict.odds_needed)} is required)"
    equal = _least_equal(verdict.pairs)
    if equal is None or equal.within_margin is None:
        return f"{missing}."
    apart = f'"{equal.better} is less than {_points(rules)} above {equal.other}"'
    needed = required(verdict.margin_odds_needed)
    return f"{missing}, {odds(equal.within_margin)} for {apart} ({needed} is required)."


def _least_equal(pairs: Sequence[PairVerdict]) -> PairVerdict | None:
    tested = [pair for pair in pairs if pair.within_margin is not None]
    return min(tested, key=lambda pair: pair.within_margin or 0.0, default=None)


def _points(rules: TrialRules) -> str:
    points = 100 * (rules.equivalence_margin or 0.0)
    return f"{points:.3g} percentage point{'' if points == 1 else 's'}"


def _listed(arms: Sequence[str]) -> str:
    return arms[0] if len(arms) == 1 else f"{', '.join(arms[:-1])} and {arms[-1]}"
