"""Verdicts as a pure fold over the stored readings: the same readings, the same verdict.

FAIL is for good, and so is a PASS that was asked for by a number. Whoever wants a PASS anew at each
step gives the readings of that step alone.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from domain.readings import reasons
from domain.readings.outcomes import Conditions, Outcome, Tally
from domain.readings.rules import Reading, ReadingRules
from domain.verdicts import Status, Verdict

# After a reading that says nothing, where no interval says when the next is due.
AGAIN_AFTER = timedelta(seconds=10)


def judge_readings(gate: str, rules: ReadingRules, readings: Iterable[Reading]) -> Verdict:
    """The verdict on all readings seen so far, in the order of their times."""
    fold = ReadingJudge(gate, rules)
    for reading in readings:
        fold.add(reading)
    return fold.verdict()


class ReadingJudge:
    """The same fold, fed reading by reading as a watcher sees them."""

    def __init__(self, gate: str, rules: ReadingRules) -> None:
        self._gate, self._rules = gate, rules
        self._conditions = Conditions.of(rules)
        self._tally = Tally()
        self._latest: tuple[Reading, Outcome] | None = None
        self._settled: Verdict | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the verdict is for good: no further reading changes it."""
        return self._settled is not None

    @property
    def conclusive(self) -> int:
        """How many readings succeeded or failed, until the verdict was for good."""
        return self._tally.conclusive

    def add(self, reading: Reading) -> None:
        """Take the next reading in. Raises ValueError when it is not after the last one."""
        if self._latest and reading.at <= self._latest[0].at:
            raise ValueError(f"the reading of {reading.at} came after that of {self._latest[0].at}")
        outcome = self._conditions.outcome(reading)
        self._latest = (reading, outcome)
        if self._settled is None:
            self._tally.add(outcome)
            self._settled = self._final()

    def verdict(self) -> Verdict:
        """Asking changes nothing."""
        return self._settled or self._open()

    def due_at(self, opened_at: datetime) -> datetime | None:
        """When the next reading is to be taken; None when no more are needed."""
        if self._settled:
            return None
        if self._latest is None:
            return opened_at + self._rules.initial_delay
        return self._latest[0].at + (self._rules.interval or AGAIN_AFTER)

    def _final(self) -> Verdict | None:
        """A verdict that is for good, once there is one."""
        if because := self._too_many_failures():
            return self._verdict(Status.FAIL, because)
        run = self._rules.consecutive_success_limit
        if run is not None and self._tally.success_run >= run and not self._too_inconclusive():
            return self._verdict(Status.PASS, reasons.enough_in_a_row(self._tally))
        wanted = self._rules.wanted
        if wanted is None or self._tally.conclusive < wanted:
            return None
        if because := self._too_inconclusive():
            return self._verdict(Status.UNDECIDED, because)
        if run is not None or not self._tally.successes:
            return self._verdict(Status.UNDECIDED, reasons.all_taken_in_vain(wanted, run))
        return self._verdict(Status.PASS, reasons.all_taken(wanted))

    def _open(self) -> Verdict:
        """What can be said for now."""
        tally, rules = self._tally, self._rules
        if self._latest is None:
            return Verdict(gate=self._gate, status=Status.UNDECIDED, reason=reasons.NOTHING_READ)
        if tally.error_run > rules.consecutive_error_limit:
            because = reasons.too_many_errors(tally, rules.consecutive_error_limit)
            return self._verdict(Status.UNAVAILABLE, because)
        if because := self._too_inconclusive():
            return self._verdict(Status.UNDECIDED, because)
        is_open_ended = rules.wanted is None and rules.consecutive_success_limit is None
        if is_open_ended and tally.success_run:
            return self._verdict(Status.PASS, reasons.within_limits())
        return self._verdict(Status.UNDECIDED, reasons.still_needed(tally, rules))

    def _too_many_failures(self) -> str:
        """Which limit is passed, in words; empty where none is."""
        tally, rules = self._tally, self._rules
        if rules.failure_limit is not None and tally.failures > rules.failure_limit:
            return reasons.too_many_failed(tally, rules.failure_limit)
        row = rules.consecutive_failure_limit
        if row is not None and tally.failure_run > row:
            return reasons.too_many_failed_in_a_row(tally, row)
        return ""

    def _too_inconclusive(self) -> str:
        """That the limit is passed, in words; empty where it is not."""
        limit = self._rules.inconclusive_limit
        if limit is None or self._tally.inconclusive <= limit:
            return ""
        return reasons.too_many_inconclusive(self._tally, limit)

    def _verdict(self, status: Status, because: str) -> Verdict:
        sentences = [reasons.seen(self._tally)]
        if self._latest:
            sentences.append(reasons.latest(*self._latest))
        sentences += [reasons.asked(self._rules), because]
        return Verdict(gate=self._gate, status=status, reason=" ".join(sentences))
