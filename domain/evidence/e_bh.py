"""Of many claims shown together, which stand: the e-Benjamini-Hochberg rule.

Each gate's own odds say how often *it* cries wolf; of twenty that are shown side by side one may.
The rule keeps the expected part of false ones among those that it names at alpha, however the
evidence of the gates depends on each other (Wang & Ramdas 2022; docs/statistics.md, section 2c).
For people: it decides nothing.
"""

from collections.abc import Sequence

from domain.verdicts import Verdict

# Odds that come out of logarithms are a hair off what they are compared with.
_HAIR = 1e-9


def standing(e_values: Sequence[float], *, alpha: float, hypotheses: int = 0) -> tuple[bool, ...]:
    """Which of the claims stand, in their order.

    With e sorted downwards the k largest, for the largest k with e_(k) >= K / (k alpha). K is how
    many claims there are, or `hypotheses` where more were looked at: those count as without any
    evidence. Raises ValueError for an alpha outside of 0..1 or a negative e-value.
    """
    if not 0 < alpha < 1:
        raise ValueError("alpha must lie between 0 and 1")
    if any(e < 0 for e in e_values):
        raise ValueError("an e-value is never negative")
    many = max(len(e_values), hypotheses)
    by_size = sorted(e_values, reverse=True)
    passing = [k for k, e in enumerate(by_size, 1) if e * k * alpha >= many * (1 - _HAIR)]
    if not passing:
        return (False,) * len(e_values)
    smallest = by_size[max(passing) - 1]
    return tuple(e >= smallest for e in e_values)


def standing_among(verdicts: Sequence[Verdict]) -> tuple[bool | None, ...]:
    """Whether "worse than allowed" stands for each among all of the verdicts; None: no evidence.

    A gate's odds are those of its strongest rule, so every rule counts as a claim, of each arm of a
    trial; so do the rules of those gates that say nothing yet, but not of a dry run's. `alpha` is
    the smallest of the gates'.
    """
    families: dict[str, int] = {}
    alphas, odds, rules = [], [], 0
    for verdict in verdicts:
        evidence = verdict.evidence
        if evidence is None or evidence.alpha is None:
            continue
        families[verdict.variant] = max(
            families.get(verdict.variant, 0), evidence.gates_in_family or 1
        )
        rules += evidence.rules or 1
        alphas.append(evidence.alpha)
        odds.append(evidence.fail)
    if not odds:
        return (None,) * len(verdicts)
    many = max(rules, sum(families.values()))
    found = iter(standing(odds, alpha=min(alphas), hypotheses=many))
    return tuple(
        next(found) if verdict.evidence and verdict.evidence.alpha is not None else None
        for verdict in verdicts
    )
