"""A gate without statistics over a range of the past: when it would have read, and what fires.

The moments are those of a watch that asks without delay: `due_at` of the same judge, opened at the
beginning of each stretch. Who asks, and how, is not known here.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from domain.evidence import reasons
from domain.evidence.replaying import Fired, GateReplay, Stretch
from domain.plan import Plan
from domain.reading_gates import ReadingGate
from domain.readings.rules import Reading, ReadingRules
from domain.readings.stepped import KeptReading, SteppedJudge
from domain.verdicts import Status, Verdict

_SHORTEST_SPAN = timedelta(microseconds=1)


class ReadingReplay:
    """One gate. Take `due` moments, and add a reading of each in their order.

    `kept_from` is when the store's memory of the stretches begins; None where it has nothing of
    them. Nothing is due before that: what nobody knows any more is neither good nor bad.
    """

    def __init__(
        self, gate: ReadingGate, stretches: Sequence[Stretch], kept_from: datetime | None
    ) -> None:
        self._gate, self._stretches, self._kept_from = gate, tuple(stretches), kept_from
        self._judge = SteppedJudge(gate.name, gate.rules)
        self._place = 0
        self._firsts: dict[Status, Fired] = {}

    @property
    def readings(self) -> int:
        """How many were added."""
        return self._judge.readings

    @property
    def missing(self) -> tuple[str, ...]:
        """What nobody knows any more of the stretches, in sentences."""
        since, until = self._stretches[0].since, self._stretches[-1].until
        if self._kept_from is None:
            span = f"from {reasons.moment(since)} to {reasons.moment(until)}"
            return (f"Nothing is kept any more of what could be read {span}.",)
        if self._kept_from > since:
            before = reasons.moment(self._kept_from)
            return (f"Nothing is kept any more of what could be read before {before}.",)
        return ()

    def due(self, most: int) -> tuple[tuple[Stretch, datetime], ...]:
        """The next moments, up to `most`; those behind the first only if the ones before say so.

        None is due once nothing more is needed. All are in one stretch.
        """
        first = self._next()
        if first is None:
            return ()
        stretch, at = first
        pause = self._gate.rules.interval
        if pause is None:
            return (first,)
        moments = (at + pause * place for place in range(most))
        return tuple((stretch, moment) for moment in moments if moment <= stretch.until)

    def is_due(self, moment: datetime) -> bool:
        """Whether a moment that was told is still to be read, after the readings before it."""
        upcoming = self._next()
        return upcoming is not None and upcoming[1] == moment

    def add(self, reading: Reading) -> None:
        """Take the next reading in. Raises ValueError when none was due at its moment."""
        if not self.is_due(reading.at):
            raise ValueError(f"no reading was due at {reading.at}")
        stretch = self._stretches[self._place]
        self._judge.add(stretch.step, reading)
        verdict = self._judge.verdict(stretch.step)
        if verdict.status in (Status.PASS, Status.FAIL):
            fired = Fired(
                at=reading.at,
                seconds=(reading.at - self._stretches[0].since).total_seconds(),
                step=stretch.step,
                weight=stretch.weight,
                verdict=verdict,
            )
            self._firsts.setdefault(verdict.status, fired)

    def _next(self) -> tuple[Stretch, datetime] | None:
        """The next moment, in the stretch that is left where no more are due in this one."""
        while self._kept_from is not None and self._place < len(self._stretches):
            stretch = self._stretches[self._place]
            due = self._judge.due_at(stretch.step, stretch.since)
            if due is not None:
                at = max(due, stretch.since, self._kept_from)
                latest = self._judge.latest_at
                if latest is not None and at <= latest:  # two stretches meet
                    at = latest + _SHORTEST_SPAN
                if at <= stretch.until:
                    return stretch, at
            self._place += 1
        return None

    def result(self) -> GateReplay:
        """What was found by the end of the stretches."""
        return GateReplay(
            gate=self._gate.name,
            judged=self._judge.conclusive > 0,
            first_fail=self._firsts.get(Status.FAIL),
            first_pass=self._firsts.get(Status.PASS),
            verdict=self._last(),
        )

    def _last(self) -> Verdict:
        if self._kept_from is None:
            because = " ".join(self.missing)
            return Verdict(gate=self._gate.name, status=Status.UNAVAILABLE, reason=because)
        return self._judge.verdict(self._stretches[-1].step)


def stretches_read(plan: Plan, kept: Iterable[KeptReading], variant: str) -> tuple[Stretch, ...]:
    """The times at each step that stored readings about a variant tell of, of all gates.

    A step had begun by when the delay of the earliest reading did.
    """
    delays = {gate.name: gate.rules.initial_delay for gate in plan.reading_gates}
    by_step: dict[int, list[tuple[datetime, datetime]]] = {}
    for one in kept:
        if one.variant == variant:
            at = one.reading.at
            by_step.setdefault(one.step, []).append((at - delays[one.gate], at))
    return tuple(
        Stretch(
            step=step,
            weight=plan.weights_under(plan.traffic_at(step))[variant],
            since=min(begun for begun, _ in moments),
            until=max(at for _, at in moments),
        )
        for step, moments in sorted(by_step.items())
    )


def readings_within(rules: ReadingRules, stretches: Sequence[Stretch]) -> int:
    """How many readings a replay takes that are all conclusive, and never fail for good."""
    by_step: dict[int, list[Stretch]] = {}
    for stretch in stretches:
        by_step.setdefault(stretch.step, []).append(stretch)
    return sum(_of_step(rules, listed) for listed in by_step.values())


def _of_step(rules: ReadingRules, stretches: Sequence[Stretch]) -> int:
    span = sum((one.until - one.since for one in stretches), timedelta(0)) - rules.initial_delay
    if span < timedelta(0):
        return 0
    most = 1 if rules.interval is None else span // rules.interval + len(stretches)
    return most if rules.wanted is None else min(most, rules.wanted)
