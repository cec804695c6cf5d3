"""A stored range of samples, replayed as a watch would have seen it: what fires, when, and why.

The samples come in pieces, so that a week need not be held at once. They are looked at each `probe`
and go through the same `advance` and the same Judge as those of a rollout that runs, meter by
meter.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from domain.evidence.counters import Reading
from domain.evidence.intervals import ArmsInterval, Interval
from domain.evidence.judge import Judge
from domain.evidence.replayed_meter import CLOSE, ReplayedMeter
from domain.gates import Gate, Metric
from domain.meters import GATEWAY, Meter, meter_of, meters_of
from domain.silence import stale_after
from domain.verdicts import Status, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time during which one weight held, and of a trial all of its weights.

    `weight` is for words only and 0 where it is unknown.
    """

    step: int
    weight: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """The first moment of a status, with the verdict of that moment."""

    at: datetime
    seconds: float
    step: int
    weight: int
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReplay:
    """What one gate would have said: first, and by the end; `judged`: it had something to judge."""

    gate: str
    judged: bool
    first_fail: Fired | None
    first_pass: Fired | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """`missing` says in sentences what the store does not have (any more) of the range.

    `samples` and `intervals` are those of all meters.
    """

    samples: int
    intervals: int
    missing: tuple[str, ...]
    gates: tuple[GateReplay, ...]

    @property
    def judged(self) -> bool:
        """Whether any gate had something to judge; else nothing could have fired."""
        return any(each.judged for each in self.gates)

    @property
    def fired(self) -> tuple[str, ...]:
        """The gates that failed, by name."""
        return tuple(each.gate for each in self.gates if each.first_fail is not None)


def stretches_of(
    intervals: Iterable[Interval | ArmsInterval], arm: str = "", stable: str = ""
) -> tuple[Stretch, ...]:
    """The times at one weight that stored intervals tell of; of a trial those of one arm."""
    found: list[Stretch] = []
    for each in intervals:
        one = each if isinstance(each, Interval) else each.pair(arm, stable)
        if one is None:
            continue
        here = Stretch(step=one.step, weight=one.weight, since=one.opened_at, until=one.closed_at)
        if found and _goes_on(found[-1], here):
            found[-1] = replace(found[-1], until=here.until)
        else:
            found.append(here)
    return tuple(found)


def _goes_on(last: Stretch, here: Stretch) -> bool:
    """Whether a stretch is the same as the last one.

    Within a step, or a division of a trial, an interval begins where the one before it ended: a gap
    is a time in which other weights settled and nothing was counted.
    """
    return here.since <= last.until and (here.step, here.weight) == (last.step, last.weight)


class Replay:
    """One watch over all stretches of a range. Open a stretch, then take its pieces in order.

    As in a watch, the gateway's counters are looked at first and whatever the gates ask for: every
    PASS rests on how its requests arrive, and none is given while it is silent.
    """

    def __init__(
        self,
        gates: Sequence[Gate],
        *,
        probe: timedelta,
        unread: Collection[str] = (),
        unbound: Mapping[str, str] | None = None,
        **terms: Any,
    ) -> None:
        """`terms` are those of `Judge`.

        `unread` names gates that count among the chances of a false alarm, as they do in a
        rollout, but are not replayed. `unbound` says of gates without bounds why there are none.
        """
        self._gates, self._probe = tuple(gates), probe
        self._unread, self._unbound = frozenset(unread), dict(unbound or {})
        self._judge = Judge(gates, **terms)
        self._gateway, *others = self._streams()
        self._others = {stream.meter: stream for stream in others}
        self._stretch: Stretch | None = None
        self._since: datetime | None = None
        self._due = 0.0
        self._firsts: dict[tuple[str, Status], Fired] = {}
        self._statuses: tuple[Status, ...] = ()

    def _streams(self) -> Iterator[ReplayedMeter]:
        """One for each meter that is read, the gateway's first."""
        read = [gate for gate in self._gates if gate.name not in self._unread]
        for meter in (GATEWAY, *meters_of(read)):
            metrics = {gate.metric for gate in read if meter_of(gate) == meter}
            yield ReplayedMeter(meter, is_timed=bool(metrics - {Metric.ERROR_RATE}))

    @property
    def meters(self) -> tuple[Meter, ...]:
        """Those beside the gateway's that are to be read."""
        return tuple(self._others)

    @property
    def samples(self) -> int:
        """How many were taken in."""
        return sum(stream.samples for stream in self._all())

    @property
    def kept(self) -> tuple[datetime, datetime] | None:
        """From when to when the store has samples of the gateway's; None where it has none."""
        return self._gateway.kept

    @property
    def lookback(self) -> timedelta:
        """How long before a stretch its samples are to begin: its first look finds one there."""
        return stale_after(self._probe)

    def open(self, stretch: Stretch) -> None:
        """Begin a stretch, which must not begin before the last one ended."""
        self._stretch, self._due = stretch, stretch.since.timestamp()
        self._since = self._since or stretch.since
        for stream in self._all():
            stream.open(stretch.since)

    def take(
        self, piece: Reading, until: datetime, beside: Mapping[Meter, Reading] | None = None
    ) -> None:
        """Look at a piece, which has all samples up to `until`, at each moment that is due.

        `piece` is the gateway's, `beside` has those of the other `meters`.
        """
        if self._stretch is None:
            raise ValueError("a stretch must be opened first")
        self._gateway.take(piece)
        for meter, read in (beside or {}).items():
            self._others[meter].take(read)
        end = min(until, self._stretch.until).timestamp()
        while self._due < end + CLOSE:
            self._look(self._stretch, self._due)
            self._due += self._probe.total_seconds()
        if until >= self._stretch.until:
            self._look(self._stretch, end)  # what came behind the last probe

    def _all(self) -> Iterator[ReplayedMeter]:
        yield self._gateway
        yield from self._others.values()

    def _look(self, stretch: Stretch, moment: float) -> None:
        for stream in self._all():
            interval = stream.look(moment, step=stretch.step, weight=stretch.weight)
            if interval is not None:
                self._judge.add(interval, stream.meter.name)
                self._fold(interval, moment)

    def _fold(self, interval: Interval, moment: float) -> None:
        """Keep the verdicts of those that PASS or FAIL for the first time."""
        statuses = tuple(
            Status.UNAVAILABLE
            if status is Status.PASS and self._is_silent(gate, moment)
            else status
            for gate, status in zip(self._gates, self._judge.statuses(interval.step), strict=True)
        )
        if statuses != self._statuses:
            self._note(interval, statuses)
        self._statuses = statuses

    def _is_silent(self, gate: Gate, moment: float) -> bool:
        """Whether a watch would have called the gate unavailable, as nothing came to judge by."""
        streams = (self._gateway, self._others.get(meter_of(gate), self._gateway))
        stale = stale_after(self._probe).total_seconds()
        return any(stream.is_silent(moment, stale) for stream in streams)

    def _note(self, interval: Interval, statuses: Sequence[Status]) -> None:
        began = self._since or interval.opened_at
        for (gate, verdict), status in zip(self._verdicts(interval.step), statuses, strict=True):
            if status in (Status.PASS, Status.FAIL) and verdict.status is status:
                fired = Fired(
                    at=interval.closed_at,
                    seconds=(interval.closed_at - began).total_seconds(),
                    step=interval.step,
                    weight=interval.weight,
                    verdict=verdict,
                )
                self._firsts.setdefault((gate.name, status), fired)

    def _verdicts(self, step: int) -> Iterator[tuple[Gate, Verdict]]:
        return zip(self._gates, self._judge.verdicts(step), strict=True)

    def result(self, stretches: Sequence[Stretch]) -> Replayed:
        """What was found in these stretches. Where nothing was counted, no gate has a verdict."""
        missing = {stream.meter: self._missing(stream, stretches) for stream in self._all()}
        judged = self._judged({stretch.step for stretch in stretches})
        return Replayed(
            samples=self.samples,
            intervals=sum(stream.intervals for stream in self._all()),
            missing=tuple(told for listed in missing.values() for told in listed),
            gates=tuple(
                GateReplay(
                    gate=gate.name,
                    judged=gate.name in judged,
                    first_fail=self._firsts.get((gate.name, Status.FAIL)),
                    first_pass=self._firsts.get((gate.name, Status.PASS)),
                    verdict=self._last(gate, verdict, stretches[-1].until, missing),
                )
                for gate, verdict in self._verdicts(stretches[-1].step)
                if gate.name not in self._unread
            ),
        )

    def _judged(self, steps: Collection[int]) -> frozenset[str]:
        """The gates that had evidence at any step, or have failed, as one may in a warm-up."""
        return frozenset(
            verdict.gate
            for step in steps
            for verdict in self._judge.verdicts(step, in_full=False)
            if verdict.status is Status.FAIL or verdict.evidence is not None
        )

    def _last(
        self, gate: Gate, verdict: Verdict, end: datetime, missing: Mapping[Meter, Sequence[str]]
    ) -> Verdict:
        """The verdict by the end; what has failed stays failed, and silence ends all else."""
        if verdict.status is Status.FAIL:
            return verdict
        if gate.name in self._unbound:
            return _unavailable(gate, self._unbound[gate.name])
        meter = meter_of(gate)
        counted = self._gateway.intervals and self._others.get(meter, self._gateway).intervals
        if counted and not self._is_silent(gate, end.timestamp()):
            return verdict
        because = dict.fromkeys((*missing[GATEWAY], *missing[meter]))
        return _unavailable(gate, " ".join(because) or "Nothing was counted.")

    def _missing(self, stream: ReplayedMeter, stretches: Sequence[Stretch]) -> tuple[str, ...]:
        stale = stale_after(self._probe).total_seconds()
        hole = max(stale, 2 * self._probe.total_seconds())
        since, until = stretches[0].since, stretches[-1].until
        return tuple(stream.missing(since, until, stale=stale, hole=hole))


def _unavailable(gate: Gate, because: str) -> Verdict:
    return Verdict(gate=gate.name, status=Status.UNAVAILABLE, reason=because)
