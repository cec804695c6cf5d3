"""Verdicts in plain sentences: what was seen with its counts, what was required, what is missing.

Words only: every number is computed elsewhere.
"""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from domain.evidence.rate_ratio import LARGEST_RATIO
from domain.evidence.tallies import Counted, Rung, Tally
from domain.gates import AgainstStable, Gate, Metric
from domain.verdicts import AtWeight, Effect

_ANY_LOOK = "95 % at any look"
_LARGEST_ODDS = 1_000_000
_SMALLEST_FRACTION = 1e-9
WITHHELD = "No pass is given meanwhile."


def seen(gate: Gate, total: Tally, effect: Effect | None) -> str:
    """The effect in plain words, with interval and counts."""
    bad = _bad(gate)
    candidate = part(total.candidate_bad, total.candidate_requests, "candidate")
    stable = part(total.stable_bad, total.stable_requests, "stable")
    if not total.stable_requests:
        return f"{candidate} {bad}; stable had no request to compare with."
    if not (total.candidate_bad or total.stable_bad):
        return f"{candidate} and {stable} {bad}."
    if not total.expected:
        return f"{candidate} {bad}, and {stable}: {_ratio(effect)}."
    expected = f"about {_amount(total.expected)} expected at stable's rate ({stable})"
    return f"{candidate} {bad}, {expected}: {_ratio(effect)}."


def seen_fraction(total: Tally, interval: tuple[float, float], limit: float) -> str:
    """The candidate's fraction beside its limit."""
    low, high = interval
    fraction = percent(total.candidate_bad / total.candidate_requests)
    band = f"between {percent(low)} and {percent(high)}, {_ANY_LOOK}"
    return f"That is {fraction} ({band}); at most {percent(limit)} is allowed."


def seen_since(total: Tally, start: Counted) -> str:
    """What came after a restart, where a late regression is diluted by the health before it."""
    before = start.seen
    candidate = part(
        total.candidate_bad - before.candidate_bad,
        total.candidate_requests - before.candidate_requests,
        "candidate",
    )
    stable = part(
        total.stable_bad - before.stable_bad,
        total.stable_requests - before.stable_requests,
        "stable",
    )
    since = "Of late" if start.at is None else f"Since {moment(start.at)}"
    return f"{since}: {candidate}, {stable}."


def not_worse(rule: AgainstStable | float) -> str:
    """The claim that a FAIL refutes."""
    if isinstance(rule, AgainstStable):
        ratio, floor = times(rule.fail_ratio), percent(rule.floor)
        return f"at most {ratio} times stable's rate, or at most {floor} of requests"
    return f"at most {percent(rule)} of requests"


def good_enough(rule: AgainstStable | float) -> str:
    """The claim that a PASS proves."""
    if isinstance(rule, AgainstStable):
        ratio, floor = times(rule.pass_ratio), percent(rule.floor)
        return f"less than {ratio} times stable's rate, or less than {floor} of requests"
    return f"less than {percent(rule)} of requests"


def refuted(rule: AgainstStable | float, e: float, needed: float) -> str:
    return f'Evidence {odds(e)} against "{not_worse(rule)}"; {required(needed)} was required.'


def refuted_at(gate: Gate, bounds: Sequence[float], e: float, needed: float) -> str:
    """The FAIL of several bounds, of which the gate's own has the most evidence."""
    claim = f'"{not_worse(gate.against_stable or AgainstStable())}"'
    if len(bounds) == 1:
        return f"Evidence {odds(e)} against {claim}; {required(needed)} was required."
    return (
        f"Most evidence is at {_bound(gate)}; the mean over {_listed(gate, bounds)} is "
        f"{odds(e)} against {claim}; {required(needed)} was required."
    )


def among_bounds(gate: Gate, bounds: Sequence[float]) -> str:
    """Which bounds a gate counts at that names none, where its own is furthest from a PASS."""
    if len(bounds) == 1:
        return f"Stable's history gave the bound of {_bound(gate)}."
    return (
        f"Counted at {_listed(gate, bounds)}, the bounds that stable's history gave; "
        f"{_bound(gate)} is the furthest from a pass."
    )


def no_bounds(gate: Gate) -> str:
    return (
        f"No {_named(gate)} of stable was measured before the start, so there is no bound to count "
        "slow answers at: give stable traffic before the start, or the gate slow_over_ms."
    )


def proven(rule: AgainstStable | float, e: float, needed: float) -> str:
    return f'evidence {odds(e)} for "{good_enough(rule)}" ({required(needed)} was required)'


def not_yet_proven(rule: AgainstStable | float, e: float, needed: float) -> str:
    return f'evidence {odds(e)} for "{good_enough(rule)}" ({required(needed)} is required)'


def rung_reached(rung: Rung, upper: float, rule: AgainstStable) -> str:
    """What ends a step that has a margin; `upper` is the upper limit of the ratio."""
    if upper <= rung.margin:
        return (
            f"at most {times(upper)} times, below the {times(rung.margin)} that this step asks for"
        )
    return f"less than {percent(rule.floor)} of requests"


def rung_not_reached(rung: Rung, upper: float) -> str:
    so_far = f"at most {times(upper)} times" if upper < LARGEST_RATIO else "not bounded yet"
    return f"{so_far}, and this step asks for less than {times(rung.margin)} over the whole rollout"


def at_weight(step: Tally, total: Tally) -> str:
    """The step that a PASS must earn its evidence in, with its counts if it was not the first.

    It follows a word. Of a weight of 0 nothing is said: it is unknown, or sends no request.
    """
    place = f" at {step.weight} % weight" if step.weight else ""
    if step.intervals == total.intervals:
        return place
    candidate = part(step.candidate_bad, step.candidate_requests, "candidate")
    stable = part(step.stable_bad, step.stable_requests, "stable")
    return f"{place} ({candidate}, {stable})"


def still_needed(seconds: float | None, other: AtWeight | None = None) -> str:
    """How long a PASS takes, here and at another weight, where that is worth to be said."""
    if seconds is None:
        there = other and f", but about {_time(other.seconds)} at {other.weight} % weight"
        return f"at these rates a pass is not in sight{there or ''}"
    here = f"needs about {duration(seconds)} at this rate"
    if other is None:
        return here
    (_, unit), (amount, other_unit) = _rounded(seconds), _rounded(other.seconds)
    there = f"{amount:,}" if unit == other_unit else _time(other.seconds)
    return f"{here}, or {there} at {other.weight} % weight"


def nothing_counted(gate: Gate, since: datetime | None) -> str:
    """That the candidate has nothing to judge; `since` is None when nothing was ever read."""
    what = "No request has reached the candidate"
    if gate.metric is Metric.LATENCY:
        what = "No response of the candidate has been timed"
    elif gate.metric is not Metric.ERROR_RATE:
        what = f"The source {gate.source} has counted no {_named(gate)} of the candidate"
    return f"{what} yet." if since is None else f"{what} since {moment(since)}."


def warming_up(gate: Gate, total: Tally, ends_at: datetime) -> str:
    """That nothing but a catastrophe counts yet."""
    until = f"Warming up until {moment(ends_at)}: evidence counts from then on"
    if not total.candidate_requests:
        return f"{until}."
    seen_so_far = part(total.candidate_bad, total.candidate_requests, "candidate")
    return f"{seen_so_far} {_bad(gate)}. {until}."


def catastrophe(total: Tally, claims: tuple[float, float | None], e: float, needed: float) -> str:
    """The FAIL of a warm-up; `claims` are the limit, and the ratio to stable where that counts."""
    limit, ratio = claims
    candidate = part(total.candidate_bad, total.candidate_requests, "candidate")
    stable = part(total.stable_bad, total.stable_requests, "stable")
    claim = f"at most {percent(limit)} of requests"
    if ratio is not None and total.stable_requests:
        claim = f"{claim}, or at most {times(ratio)} times stable's rate"
    return (
        f"A catastrophe, even for a warm-up: {candidate} failed, and {stable}. "
        f'Evidence {odds(e)} against "{claim}"; {required(needed)} was required.'
    )


def split_in_doubt(shares: tuple[float, float], e: float, needed: float) -> str:
    """`shares` are the candidate's expected and observed fractions of the requests."""
    expected, observed = (percent(share) for share in shares)
    against = f"odds {odds(e)} against the weights, {required(needed)} is a doubt"
    return (
        f"Requests do not arrive as weighted: {observed} of them reached the candidate, "
        f"{expected} were due ({against})."
    )


def hanging(requests: int, started: int) -> str:
    return f"{_many(requests, 'request')} of the candidate, of {started:,}, {_begun(requests)}."


def none_ended(requests: int) -> str:
    """The reason of a gate that has nothing to judge although requests have arrived."""
    said = f"{_many(requests, 'request')} of the candidate {_begun(requests)}"
    return f"{said}: there is no answer to judge."


def clustered(phi: float, source: str) -> str:
    """By how much less is believed than if bad requests were independent."""
    return f"Evidence is divided by {times(phi)}, as bad requests may cluster ({source})."


def shape_changed(e: float) -> str:
    """That more than the bounds of a gate show has changed, be it for the better or the worse."""
    return f"The times are distributed otherwise than stable's ({odds(e)}), faster or slower."


def bound_missing(gate: Gate, bounds_ms: tuple[float, ...]) -> str:
    wanted = f"Responses slower than {_bound(gate)} cannot be counted"
    if gate.metric is not Metric.LATENCY:
        wanted = f"The {_named(gate)} cannot be counted at {_bound(gate)}"
    if not bounds_ms:
        what = "latency" if gate.metric is Metric.LATENCY else _named(gate)
        return f"{wanted}: the source shows no {what} histogram."
    known = ", ".join(f"{bound:,.10g}" for bound in bounds_ms)
    return f"{wanted}: the source counts at {known} {_unit(gate)}."


def moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def part(bad: int, requests: int, arm: str) -> str:
    return f"{bad:,} of {requests:,} {arm} request{'' if requests == 1 else 's'}"


def percent(fraction: float) -> str:
    """Three digits, written out; what is too small for any traffic to show is none."""
    written = Decimal(f"{100 * fraction if fraction > _SMALLEST_FRACTION else 0:.3g}")
    return f"{written:,f} %"


def times(ratio: float) -> str:
    return f"{ratio:.3g}"


def odds(e: float) -> str:
    """Odds rounded down, so that what is short of a requirement never looks like it."""
    return _written(e, lambda tens: math.floor(tens + 1e-9))


def required(e: float) -> str:
    """Odds that are asked for, rounded up for the same reason."""
    return _written(e, lambda tens: math.ceil(tens - 1e-9))


def _written(e: float, whole: Callable[[float], int]) -> str:
    if e >= _LARGEST_ODDS:
        return f"over {_LARGEST_ODDS:,}:1"
    if e < 0.1:  # noqa: PLR2004 - anything smaller reads the same to a person
        return "below 0.1:1"
    digits = 0 if e >= 100 else 1  # noqa: PLR2004 - from three digits on decimals are noise
    return f"{whole(e * 10**digits) / 10**digits:,.{digits}f}".removesuffix(".0") + ":1"


def duration(seconds: float) -> str:
    """Rounded up to whole units, such as "18 more seconds"."""
    amount, unit = _rounded(seconds)
    return f"{amount} more {unit}{'' if amount == 1 else 's'}"


def _time(seconds: float) -> str:
    return _many(*_rounded(seconds))


def _rounded(seconds: float) -> tuple[int, str]:
    unit, size = "second", 1.0
    for larger, length, starts_at in (
        ("minute", 60.0, 100.0),
        ("hour", 3600.0, 6000.0),
        ("day", 86_400.0, 172_800.0),
    ):
        if seconds > starts_at:
            unit, size = larger, length
    return max(1, math.ceil(seconds / size)), unit


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _begun(requests: int) -> str:
    return f"{'has' if requests == 1 else 'have'} begun and not ended"


def _bad(gate: Gate) -> str:
    match gate.metric:
        case Metric.ERROR_RATE:
            return "failed"
        case Metric.LATENCY:
            return f"took longer than {_bound(gate)}"
        case Metric.TIME_TO_FIRST_TOKEN:
            return f"took longer than {_bound(gate)} to the first token"
        case Metric.TIME_PER_OUTPUT_TOKEN:
            return f"took longer than {_bound(gate)} for a token"
        case Metric.TOKENS:
            most = "no more than" if gate.no_more_than is not None else "more than"
            return f"were answered with {most} {_bound(gate)}"


def _named(gate: Gate) -> str:
    return gate.metric.replace("_", " ")


def _unit(gate: Gate) -> str:
    return "tokens" if gate.metric is Metric.TOKENS else "ms"


def _bound(gate: Gate) -> str:
    return f"{gate.bound:,.10g} {_unit(gate)}"


def _listed(gate: Gate, bounds: Sequence[float]) -> str:
    *others, last = (f"{bound:,.10g}" for bound in bounds)
    return f"{', '.join(others)} and {last} {_unit(gate)}"


def _ratio(effect: Effect | None) -> str:
    if effect is None:
        return "too few to compare yet"
    has_low, has_high = effect.low > 1 / LARGEST_RATIO, effect.high < LARGEST_RATIO
    digits = 2 if effect.high > 1.5 * effect.low else 3
    low, high = f"{effect.low:.{digits}g}", f"{effect.high:.{digits}g}"
    if has_low and has_high and effect.estimate is not None:
        middle = f"{effect.estimate:.{digits}g}"
        often = "just as often" if middle == "1" else f"{middle} times as often"
        return f"{often} (between {low} and {high}, {_ANY_LOOK})"
    if has_low:
        return f"at least {low} times as often ({_ANY_LOOK})"
    if has_high:
        return f"at most {high} times as often ({_ANY_LOOK})"
    return "too few to compare yet"


def _amount(expected: float) -> str:
    return f"{expected:,.0f}" if expected >= 10 else f"{expected:.2g}"  # noqa: PLR2004 - two digits
