"""Verdicts on readings in plain sentences: what was seen, what was asked, what follows.

Words only: every number is computed elsewhere, and told in full, so that what is short of a
threshold never looks like it.
"""

import math

from domain.evidence.reasons import moment
from domain.readings.outcomes import Outcome, Tally
from domain.readings.rules import Reading, ReadingRules

NOTHING_READ = "No reading has been taken yet."
# As Prometheus writes them.
_WITHOUT_AMOUNT = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}
_SAID = {
    Outcome.SUCCESS: "succeeded",
    Outcome.FAILURE: "failed",
    Outcome.INCONCLUSIVE: "was inconclusive",
    Outcome.ERROR: "was an error",
}


def seen(tally: Tally) -> str:
    """How many readings there were, by what they said."""
    parts = [
        (tally.successes, "succeeded"),
        (tally.failures, "failed"),
        (tally.inconclusive, f"{_was(tally.inconclusive)} inconclusive"),
        (tally.errors, "was an error" if tally.errors == 1 else "were errors"),
    ]
    told = ", ".join(f"{amount:,} {what}" for amount, what in parts if amount)
    return f"Of {_counted(tally.readings, 'reading')}, {told}."


def latest(reading: Reading, outcome: Outcome) -> str:
    what = reading.error or answered(reading.series)
    return f"The latest, at {moment(reading.at)}, {_SAID[outcome]}: {what.rstrip('.')}."


def answered(series: tuple[float, ...]) -> str:
    """The values of an answer, or from where to where they go; in whatever order they came."""
    if not series:
        return "no series"
    if len(series) == 1:
        return _value(series[0])
    # Added to 0.0 there is one zero: min() and max() of two would tell in which order they came.
    finite = [value + 0.0 for value in series if math.isfinite(value)]
    told = f"{len(series):,} series"
    if finite:
        told += f" from {min(finite)!r} to {max(finite)!r}"
    odd = len(series) - len(finite)
    return f"{told}, {odd:,} of them NaN or infinite" if odd else told


def asked(rules: ReadingRules) -> str:
    success, failure = rules.success_condition, rules.failure_condition
    if success and failure:
        return f'A reading succeeds where "{success}", and fails where "{failure}".'
    if success:
        return f'A reading succeeds where "{success}", and fails where that is false.'
    return f'A reading fails where "{failure}", and succeeds where that is false.'


def too_many_failed(tally: Tally, limit: int) -> str:
    return f"{_counted(tally.failures, 'failure')}: failure_limit is {limit:,}."


def too_many_failed_in_a_row(tally: Tally, limit: int) -> str:
    run = _counted(tally.failure_run, "failure")
    return f"{run} in a row: consecutive_failure_limit is {limit:,}."


def too_many_inconclusive(tally: Tally, limit: int) -> str:
    amount = _counted(tally.inconclusive, "inconclusive reading")
    return f"{amount}: inconclusive_limit is {limit:,}, so the gate cannot pass any more."


def too_many_errors(tally: Tally, limit: int) -> str:
    run = _counted(tally.error_run, "error")
    return f"{run} in a row: consecutive_error_limit is {limit:,}. Nothing is concluded from them."


def enough_in_a_row(tally: Tally) -> str:
    return f"{_counted(tally.success_run, 'success')} in a row, as asked for."


def all_taken(wanted: int) -> str:
    return f"{_counted(wanted, 'conclusive reading')}, as asked for, within the limits."


def all_taken_in_vain(wanted: int, run: int | None) -> str:
    lacking = "a success" if run is None else f"{_counted(run, 'success')} in a row"
    return f"{_counted(wanted, 'conclusive reading')} and no more are taken, without {lacking}."


def within_limits() -> str:
    return "The limits hold, and the latest reading succeeded."


def still_needed(tally: Tally, rules: ReadingRules) -> str:
    if rules.consecutive_success_limit is not None:
        more = rules.consecutive_success_limit - tally.success_run
        return f"{_counted(more, 'more success')} in a row {_is(more)} needed."
    if rules.wanted is None:
        return "The next reading must succeed."
    more = rules.wanted - tally.conclusive
    return f"{_counted(more, 'more conclusive reading')} {_is(more)} needed."


def _value(value: float) -> str:
    return _WITHOUT_AMOUNT.get(repr(value), repr(value))


def _counted(amount: int, what: str) -> str:
    if amount == 1:
        return f"{amount} {what}"
    return f"{amount:,} {what}{'es' if what.endswith('s') else 's'}"


def _is(amount: int) -> str:
    return "is" if amount == 1 else "are"


def _was(amount: int) -> str:
    return "was" if amount == 1 else "were"
