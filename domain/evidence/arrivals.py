"""Whether requests arrive as weighted, and whether those that have begun also end.

Neither says that a candidate is bad, so neither ever makes a FAIL. But a comparison of arms that do
not get the requests they should, or that answer only a part of them, proves nothing good: a PASS is
withheld (docs/statistics.md, sections 2b, 2c and 5).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.evidence import reasons
from domain.evidence.intervals import Interval
from domain.evidence.split_watch import SplitWatch
from domain.trial_verdicts import SplitVerdict
from domain.verdicts import Shares, Status, Verdict

SPLIT_IN_DOUBT, REQUESTS_HANG = "split in doubt", "requests hang"
CANDIDATE, STABLE, FULL = "candidate", "stable", 100
# Those under way when an interval closes are no news: it takes more of them, and more than stable
# has, of the latest intervals or of the whole step.
LATEST = 12
HANGING_AT_LEAST, HANGING_SHARE, BEYOND_STABLE = 10, 0.1, 2.0


@dataclass(slots=True, kw_only=True)
class Begun:
    """Requests that have begun, and those that have ended, of both arms over some intervals."""

    candidate_started: int = 0
    candidate_ended: int = 0
    stable_started: int = 0
    stable_ended: int = 0

    def add(self, more: "Begun") -> None:
        self.candidate_started += more.candidate_started
        self.candidate_ended += more.candidate_ended
        self.stable_started += more.stable_started
        self.stable_ended += more.stable_ended

    @property
    def hanging(self) -> int:
        """The candidate's that have begun and not ended."""
        return max(self.candidate_started - self.candidate_ended, 0)

    @property
    def is_hanging(self) -> bool:
        """Whether so many have not ended that it is no matter of the moment."""
        share = self.hanging / max(self.candidate_started, 1)
        beside = max(self.stable_started - self.stable_ended, 0) / max(self.stable_started, 1)
        is_much = self.hanging >= HANGING_AT_LEAST and share >= HANGING_SHARE
        return is_much and share >= BEYOND_STABLE * beside


class Arrivals:
    """Fed interval by interval; a source that does not count what begins is never in doubt.

    Each step is looked at alone, as its PASS is earned alone. `checks_split`: that the weights are
    those of a pair, and drawn for each request.
    """

    def __init__(self, *, checks_split: bool) -> None:
        self._checks_split = checks_split
        self._steps: dict[int, _Step] = {}

    def add(self, interval: Interval) -> None:
        """Take the next interval in."""
        candidate, stable = interval.candidate, interval.stable
        if candidate.started is None or stable.started is None:
            return
        begun = Begun(
            candidate_started=candidate.started,
            candidate_ended=candidate.requests,
            stable_started=stable.started,
            stable_ended=stable.requests,
        )
        is_split = self._checks_split and 0 < interval.weight < FULL
        step = self._steps.setdefault(interval.step, _Step())
        step.add(begun, interval.weight if is_split else None)

    def split(self, step: int) -> SplitVerdict | None:
        """How the split of a step stands; None where none is checked."""
        found = self._steps.get(step)
        return found.split() if found else None

    def shares(self, step: int) -> Shares | None:
        """The candidate's share of the requests of a step; None where no split is checked."""
        found = self._steps.get(step)
        return found.shares() if found else None

    def flags(self, step: int) -> tuple[str, ...]:
        """What is in doubt at a step, in a few words each."""
        found = self._steps.get(step)
        return found.flags() if found else ()

    def held(self, verdicts: Sequence[Verdict], step: int) -> tuple[Verdict, ...]:
        """The verdicts with any PASS withheld while the requests of the step are in doubt.

        A doubt is also told where there is no proof yet, since it keeps one from counting.
        """
        found = self._steps.get(step)
        return tuple(verdicts) if found is None else tuple(map(found.held, verdicts))

    def held_statuses(self, statuses: Sequence[Status], step: int) -> tuple[Status, ...]:
        """As `held`, of the verdicts' statuses alone."""
        found = self._steps.get(step)
        if found is None or Status.PASS not in statuses or not found.doubts():
            return tuple(statuses)
        return tuple(Status.UNDECIDED if one is Status.PASS else one for one in statuses)


class _Step:
    """What has arrived during one step."""

    def __init__(self) -> None:
        self._whole = Begun()
        self._latest: deque[Begun] = deque(maxlen=LATEST)
        self._watch = SplitWatch()
        self._due = self._observed = self._arrived = 0.0

    def add(self, begun: Begun, weight: int | None) -> None:
        """`weight` is None where the split is not to be checked."""
        self._whole.add(begun)
        self._latest.append(begun)
        if weight is None:
            return
        arrived = begun.candidate_started + begun.stable_started
        self._watch.add(
            {CANDIDATE: weight, STABLE: FULL - weight},
            {CANDIDATE: begun.candidate_started, STABLE: begun.stable_started},
        )
        self._arrived += arrived
        self._observed += begun.candidate_started
        self._due += arrived * weight / FULL

    def split(self) -> SplitVerdict | None:
        return self._watch.verdict() if self._arrived else None

    def shares(self) -> Shares | None:
        split = self.split()
        if split is None:
            return None
        return Shares(
            expected=self._due / self._arrived,
            observed=self._observed / self._arrived,
            odds=split.odds,
            odds_needed=split.odds_needed,
        )

    def flags(self) -> tuple[str, ...]:
        split = self.split()
        doubts = (SPLIT_IN_DOUBT,) if split is not None and split.in_doubt else ()
        return doubts if self.hanging() is None else (*doubts, REQUESTS_HANG)

    def hanging(self) -> Begun | None:
        """What hangs, of the whole step or of the latest intervals; None where nothing does."""
        latest = Begun()
        for begun in self._latest:
            latest.add(begun)
        return next((one for one in (self._whole, latest) if one.is_hanging), None)

    def held(self, verdict: Verdict) -> Verdict:
        doubts = self.doubts()
        if not doubts or verdict.status not in (Status.PASS, Status.UNDECIDED):
            return verdict
        reason = f"{verdict.reason} {doubts}"
        if verdict.status is Status.PASS:
            reason = f"{verdict.reason} But {doubts[0].lower()}{doubts[1:]} {reasons.WITHHELD}"
        elif verdict.samples is None and (begun := self.hanging()) is not None:
            # An arm whose requests all hang is not one that none has reached.
            reason = f"{reasons.none_ended(begun.hanging)} {self._doubt_of_split()}".rstrip()
        return replace(
            verdict,
            status=Status.UNDECIDED,
            reason=reason,
            seconds_to_pass=None,
            forecast=None,
            doubt=doubts,
        )

    def doubts(self) -> str:
        """Why no PASS can be given, in words; empty where one can."""
        begun = self.hanging()
        said = [self._doubt_of_split()]
        if begun is not None:
            said.append(reasons.hanging(begun.hanging, begun.candidate_started))
        return " ".join(filter(None, said))

    def _doubt_of_split(self) -> str:
        split = self.split()
        if split is None or not split.in_doubt:
            return ""
        shares = (self._due / self._arrived, self._observed / self._arrived)
        return reasons.split_in_doubt(shares, split.odds, split.odds_needed)
