"""What is told of a step ahead, as values and in sentences."""

from dataclasses import dataclass, replace
from datetime import timedelta

from domain.evidence.planning import Outlook
from domain.readings.rules import ReadingRules
from domain.spans import spoken

ONLY_TESTERS = "only requests with its headers reach the candidate; how many is not known"
NOBODY = "no request reaches the candidate during this step"
NEVER_BAD = "stable had no bad request in the window, and a multiple of nothing is nothing"
_ARE = "are found"
_ALL_DIGITS_FROM, _LEAST_TOLD = 100, 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWeight:
    """What another weight would change."""

    weight: int
    seconds_to_pass: float | None
    seconds_to_find_double: float | None
    seconds_to_find_tenfold: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOutlook:
    """One gate during one step. `reason` says why there is no outlook, or what it lacks.

    `bounds` are those of stable's history, for a gate that counts at them.
    """

    gate: str
    outlook: Outlook | None = None
    bounds: tuple[float, ...] = ()
    passes_within_soak: bool | None = None
    at_weights: tuple[AtWeight, ...] = ()
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOutlook:
    """One gate without statistics during one step, of which only the rhythm is known."""

    gate: str
    rules: ReadingRules
    soak: timedelta

    @property
    def earliest(self) -> timedelta:
        """When it can PASS, if every reading succeeds."""
        return self.rules.earliest_pass

    @property
    def passes_within_soak(self) -> bool:
        return self.earliest <= self.soak


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutlook:
    """One gated step, of a trial one of its arms. `summary` is for people.

    Where the candidate has no weight, copies of `copied` percent of all requests may reach it.
    `margin` is proven from `proven_before` seconds of earlier steps as well. `warm_up` is how many
    seconds of this one are no evidence yet, `expected` how many it lasts; None where that is not
    foreseen.
    """

    step: int
    doing: str
    variant: str
    weight: int
    copied: int
    requests_per_second: float | None
    soak: timedelta
    margin: float | None
    proven_before: float
    warm_up: float
    expected: float | None
    gates: tuple[GateOutlook, ...]
    readings: tuple[ReadingOutlook, ...]
    summary: str = ""


def summary(step: StepOutlook) -> StepOutlook:
    """The same with what is to be expected in sentences."""
    rate = step.requests_per_second
    reach = "" if rate is None else f" ({_number(rate)} requests/s)"
    share = f"With {step.copied} % copied" if step.copied else f"At {step.weight} %"
    at = f"{share}{reach}"
    sentences = [_told(at, step.soak, gate) for gate in step.gates]
    sentences += [_told_of_readings(at, gate) for gate in step.readings]
    if step.margin is not None:
        earlier = f", {_about(step.proven_before)} at earlier steps included"
        since = earlier if step.proven_before else ""
        sentences.append(
            f"Its PASS is proof of less than {step.margin:g} times stable, from all requests of "
            f"the rollout{since}."
        )
    if step.warm_up and any(gate.outlook for gate in step.gates):
        spent = _exactly(step.warm_up)
        sentences.append(f"These times include the first {spent}, which warm up and prove little.")
    return replace(step, summary=" ".join(sentences))


def _told(at: str, soak: timedelta, gate: GateOutlook) -> str:
    outlook = gate.outlook
    if outlook is None:
        return f"{at} nothing can be said of {gate.gate}: {gate.reason}."
    limit = spoken(soak)
    if outlook.seconds_to_pass is None:
        said = f"{at} {gate.gate} does not PASS within 30 days"
    elif gate.passes_within_soak:
        said = f"{at} {gate.gate} takes {_about(outlook.seconds_to_pass)} to PASS, of {limit}"
    else:
        took = _about(outlook.seconds_to_pass)
        said = f"{at} {gate.gate} takes {took} to PASS, longer than the {limit} of the soak"
    faster = [
        f"{_about(other.seconds_to_pass)} at {other.weight} %"
        for other in gate.at_weights
        if other.seconds_to_pass is not None
    ]
    others = f" ({', '.join(faster)})" if faster else ""
    return f"{said}{others}; {_finding(outlook, limit, is_by_odds=len(gate.bounds) > 1)}."


def _finding(outlook: Outlook, limit: str, *, is_by_odds: bool) -> str:
    worse = "the odds of a slow answer" if is_by_odds else "as many bad requests"
    found = [
        f"{_about(seconds)} for {times} times {worse}"
        for times, seconds in (
            (2, outlook.seconds_to_find_double),
            (10, outlook.seconds_to_find_tenfold),
        )
        if seconds is not None
    ]
    to_fail = f"to FAIL it takes {' and '.join(found)}" if found else ""
    least = f"within {limit} no regression is found"
    if outlook.smallest_ratio is not None:
        what = f"times the odds {_ARE}" if is_by_odds else f"times as many {_ARE}"
        least = f"within {limit} {_number(outlook.smallest_ratio)} {what}"
    elif outlook.smallest_fractions:
        (fraction, *_) = outlook.smallest_fractions
        least = f"within {limit} {_number(100 * fraction)} % bad requests {_ARE}"
    return "; ".join(filter(None, (to_fail, least)))


def _told_of_readings(at: str, gate: ReadingOutlook) -> str:
    fewest, earliest = gate.rules.fewest, gate.earliest.total_seconds()
    number = "its first reading" if fewest == 1 else f"{fewest} readings"
    when = f"{_exactly(earliest)} after the step began" if earliest else "as soon as it is reached"
    late = "" if gate.passes_within_soak else f", longer than the {spoken(gate.soak)} of the soak"
    return f"{at} {gate.gate} can PASS {when} at the earliest, with {number}{late}."


def _number(value: float) -> str:
    """With what digits matter, and never with an exponent."""
    if value >= _ALL_DIGITS_FROM:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= _LEAST_TOLD else f"less than {_LEAST_TOLD}"


def _exactly(seconds: float) -> str:
    return spoken(timedelta(seconds=seconds))


def _about(seconds: float) -> str:
    return f"about {spoken(timedelta(seconds=max(1.0, round(seconds))))}"
