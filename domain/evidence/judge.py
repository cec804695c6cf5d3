"""Verdicts as a pure fold over the stored intervals: the same intervals, the same verdicts.

FAIL is earned over all intervals of a rollout and is for good; PASS is earned anew at each step. A
store that is silent is not known here: the caller says so.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any, TypeVar

from domain.evidence import fraction, rate_ratio, reasons
from domain.evidence.arrivals import Arrivals
from domain.evidence.baseline import Baseline
from domain.evidence.forecasts import expected_rates, seconds_until
from domain.evidence.intervals import Interval
from domain.evidence.mixtures import odds
from domain.evidence.rules import AgainstStableRule, LimitRule, Rule
from domain.evidence.rungs import said
from domain.evidence.slower import SlowerRule
from domain.evidence.tails import NoBounds, TailsFold
from domain.evidence.tallies import Rung, Tally, increment_of, observe
from domain.evidence.warm_up import WarmUp
from domain.gates import AgainstStable, Gate
from domain.meters import meter_of
from domain.trial_verdicts import SplitVerdict
from domain.verdicts import Effect, Evidence, Samples, Status, Verdict

LEVEL = 0.95
T = TypeVar("T")


def judge(
    gates: Sequence[Gate],
    intervals: Sequence[Interval],
    *,
    step: int,
    meters: Mapping[str, Sequence[Interval]] | None = None,
    **terms: Any,
) -> tuple[Verdict, ...]:
    """One verdict a gate, in the order of the gates, on all intervals seen so far.

    `intervals` are the gateway's, `meters` those of other meters by name. `step` is the one whose
    PASS is asked for, `terms` are those of `Judge`.
    """
    fold = Judge(gates, **terms)
    for interval in intervals:
        fold.add(interval)
    for meter, counted in (meters or {}).items():
        for interval in counted:
            fold.add(interval, meter)
    return fold.verdicts(step)


class Judge:
    """The same fold, fed interval by interval as a watcher sees them.

    `baseline` is what was known of stable before the rollout. Its phi >= 1 is how much more the bad
    requests scatter than independent ones; it divides all evidence (`phi` alone is short for such a
    baseline). Evidence begins `warm_up` after the first interval did; until then only a catastrophe
    counts. `checks_split`: no PASS while requests do not arrive as weighted. `margins` has by step
    the ratio that ends it, from the whole rollout; at all other steps a PASS is earned anew.
    """

    def __init__(
        self,
        gates: Sequence[Gate],
        *,
        phi: float = 1.0,
        baseline: Baseline | None = None,
        warm_up: timedelta = timedelta(0),
        checks_split: bool = True,
        margins: Mapping[int, float] | None = None,
    ) -> None:
        self._baseline = baseline or Baseline(phi=phi)
        family = sum(
            (gate.limit is not None) + (gate.against_stable is not None)
            for gate in gates
            if not gate.dry_run
        )
        folds = [_fold_of(gate, family, self._baseline, margins or {}) for gate in gates]
        needed = [max(family, 1) / gate.alpha for gate in gates]
        self._arrivals = Arrivals(checks_split=checks_split)
        self._meters: dict[str, _MeterFold] = {}
        for name, places in _by_meter(gates).items():
            warming = WarmUp(
                *([gates[i] for i in places], [needed[i] for i in places]),
                phi=self._baseline.phi,
                lasts=warm_up,
            )
            self._meters[name] = _MeterFold(places, [folds[i] for i in places], warming)
        self._meters.setdefault("", _MeterFold([], [], WarmUp([], [], phi=1.0, lasts=warm_up)))

    def add(self, interval: Interval, meter: str = "") -> None:
        """Take the next interval of a meter in; only its gates see it.

        Raises ValueError when it is not after the last one.
        """
        self._meters[meter].add(interval)
        if not meter:
            self.arrive(interval)

    def arrive(self, interval: Interval) -> None:
        """Take in only how the requests of an interval of the gateway's arrived.

        Every PASS rests on that, of whatever meter.
        """
        self._arrivals.add(interval)

    def verdicts(self, step: int) -> tuple[Verdict, ...]:
        """One verdict a gate; asking changes nothing."""
        found = _in_order(
            zip(meter.places, meter.verdicts(step), strict=True) for meter in self._meters.values()
        )
        return tuple(map(self._explained, self._arrivals.held(found, step)))

    def statuses(self, step: int) -> tuple[Status, ...]:
        """What the verdicts say without their numbers, at a tenth of the cost."""
        found = _in_order(
            zip(meter.places, meter.statuses(step), strict=True) for meter in self._meters.values()
        )
        return self._arrivals.held_statuses(found, step)

    def split(self, step: int) -> SplitVerdict | None:
        """How the requests of a step arrive; None where no split is checked."""
        return self._arrivals.split(step)

    def _explained(self, verdict: Verdict) -> Verdict:
        """With what the evidence was divided by, where somebody has said why."""
        phi, source = self._baseline.phi, self._baseline.phi_source
        if phi <= 1 or not source or verdict.samples is None:
            return verdict
        return replace(verdict, reason=f"{verdict.reason} {reasons.clustered(phi, source)}")


class _MeterFold:
    """The gates that are judged on one meter; `places` are theirs among all gates."""

    def __init__(self, places: list[int], folds: list["_Fold"], warm_up: WarmUp) -> None:
        self.places, self._folds, self._warm_up = places, folds, warm_up
        self._last = -1

    def add(self, interval: Interval) -> None:
        if interval.sequence <= self._last:
            raise ValueError(f"interval {interval.sequence} came after {self._last}")
        self._last = interval.sequence
        if self._warm_up.takes(interval):
            return
        for fold in self._folds:
            fold.add(interval)

    def verdicts(self, step: int) -> list[Verdict]:
        pairs = zip(self._warm_up.verdicts(), self._folds, strict=True)
        return [early or fold.verdict(step) for early, fold in pairs]

    def statuses(self, step: int) -> list[Status]:
        pairs = zip(self._warm_up.statuses(), self._folds, strict=True)
        return [early or fold.status(step) for early, fold in pairs]


def _by_meter(gates: Sequence[Gate]) -> dict[str, list[int]]:
    """The places of the gates by the meter that they are judged on."""
    found: dict[str, list[int]] = {}
    for place, gate in enumerate(gates):
        found.setdefault(meter_of(gate).name, []).append(place)
    return found


def _in_order(placed: Iterable[Iterable[tuple[int, T]]]) -> list[T]:
    """What stands at each place, from what each meter says of its own."""
    return [one for _, one in sorted(chain.from_iterable(placed), key=itemgetter(0))]


def _fold_of(gate: Gate, family: int, baseline: Baseline, margins: Mapping[int, float]) -> "_Fold":
    """The gate at its bound, or at those of stable's history where it names none."""
    if not gate.takes_bounds_of_stable:
        return _GateFold(gate, family, baseline.phi, margins)
    bounds = baseline.slow_bounds.get(gate.name, ())
    if not bounds:
        return NoBounds(gate)
    each = [replace(gate, slow_over_ms=bound) for bound in bounds]
    parts = [_GateFold(one, family, baseline.phi, margins, is_part=True) for one in each]
    return TailsFold(gate, parts, fail_needed=max(family, 1) / gate.alpha)


class _GateFold:
    """One gate: its tallies over the rollout and per step, and its FAIL once there is one.

    As a part, at one of several bounds, it does not fail: its evidence is weighed with the others'.
    """

    def __init__(
        self,
        gate: Gate,
        family: int,
        phi: float,
        rungs: Mapping[int, float],
        *,
        is_part: bool = False,
    ) -> None:
        self._rungs = rungs
        margins = gate.against_stable or AgainstStable()
        self._gate, self._phi, self._is_part = gate, phi, is_part
        self._ratio = rate_ratio.RatioTest(
            fail_ratio=margins.fail_ratio, pass_ratio=margins.pass_ratio
        )
        self._rules = self._build_rules()
        self._fail_needed = max(family, 1) / gate.alpha
        self._pass_needed = 1 / gate.beta
        self._total = Tally(ell=self._ratio.nothing())
        self._steps: dict[int, Tally] = {}
        self._latest: Interval | None = None
        self._failed: Verdict | None = None

    def _build_rules(self) -> list[tuple[AgainstStable | float, Rule]]:
        rules: list[tuple[AgainstStable | float, Rule]] = []
        if self._gate.against_stable is not None:
            margins = self._gate.against_stable
            is_marginless = self._is_part and margins.fail_ratio == 1
            rule = SlowerRule if is_marginless else AgainstStableRule
            rules.append((margins, rule(margins, self._ratio, self._phi)))
        if self._gate.limit is not None:
            rules.append((self._gate.limit, LimitRule(self._gate.limit, self._phi)))
        return rules

    def add(self, interval: Interval) -> None:
        self._latest = interval
        seen = observe(self._gate, interval)
        if self._failed or seen is None:
            return
        for _, rule in self._rules:
            rule.restart(self._total)
            rule.learn(seen)
        increment = increment_of(self._ratio, seen, self._phi)
        self._total.add(seen, interval, increment)
        self._step(interval.step).add(seen, interval, increment)
        if (
            seen.candidate_bad and not self._is_part
        ):  # evidence for FAIL grows with no other request
            self._latch(interval.step)

    def _latch(self, step: int) -> None:
        """Keep the verdict of the first crossing: the guarantee is about that one."""
        needed = math.log(self._fail_needed)
        failed = [
            (rule.log_e_fail(self._total), claim, rule)
            for claim, rule in self._rules
            if rule.has_failed(self._total, needed)
        ]
        if failed:
            log_e, claim, rule = max(failed, key=lambda each: each[0])
            because = reasons.refuted(claim, odds(log_e), self._fail_needed)
            self._failed = self._failing(rule, because, step)

    def _failing(self, rule: Rule, because: str, step: int) -> Verdict:
        start = rule.failing_since(self._total)
        if start:
            because = f"{reasons.seen_since(self._total, start)} {because}"
        return self._verdict(Status.FAIL, because, self._step(step))

    @property
    def gate(self) -> Gate:
        return self._gate

    def log_e_fail(self) -> float:
        return max(rule.log_e_fail(self._total) for _, rule in self._rules)

    def log_e_pass(self, step: int) -> float:
        return min(rule.log_e_pass(self._step(step)) for _, rule in self._rules)

    def refuted(self, step: int, because: str) -> Verdict:
        """The FAIL of a part that others join in."""
        _, rule = max(self._rules, key=lambda each: each[1].log_e_fail(self._total))
        return self._failing(rule, because, step)

    def verdict(self, step: int) -> Verdict:
        if self._failed:
            return self._failed
        if self._latest and observe(self._gate, self._latest) is None:
            because = reasons.bound_missing(self._gate, self._latest.bounds_ms)
            return Verdict(gate=self._gate.name, status=Status.UNAVAILABLE, reason=because)
        here = self._step(step)
        if not here.candidate_requests:
            since = self._total.reached_at or self._total.opened_at
            because = reasons.nothing_counted(self._gate, since)
            return Verdict(gate=self._gate.name, status=Status.UNDECIDED, reason=because)
        if not self._rules:
            return self._verdict(Status.UNDECIDED, "The gate has no rule to judge by.", here)
        return self._weigh(here)

    def status(self, step: int) -> Status:
        if self._failed:
            return Status.FAIL
        if self._latest and observe(self._gate, self._latest) is None:
            return Status.UNAVAILABLE
        here, needed = self._step(step), math.log(self._pass_needed)
        if not (here.candidate_requests and self._rules):
            return Status.UNDECIDED
        is_proven = all(rule.log_e_pass(here) >= needed for _, rule in self._rules)
        return Status.PASS if is_proven else Status.UNDECIDED

    def _weigh(self, here: Tally) -> Verdict:
        """PASS when each rule has its evidence from this step, else what is still missing."""
        needed = math.log(self._pass_needed)
        missing: list[str] = []
        have: list[str] = []
        for claim, rule in self._rules:
            log_e = rule.log_e_pass(here)
            told = said(claim, here, odds(log_e), self._gate.beta)
            (have if log_e >= needed else missing).append(told)
        place = reasons.at_weight(here, self._total)
        if not missing:
            because = f"Good enough {place}: {', and '.join(have)}."
            return self._verdict(Status.PASS, because, here, seconds_to_pass=0.0)
        seconds = self._seconds_to_pass(here, needed)
        lacking = " and ".join(missing)
        because = f"Not enough data yet {place}: {lacking}; {reasons.still_needed(seconds)}."
        return self._verdict(Status.UNDECIDED, because, here, seconds_to_pass=seconds)

    def _seconds_to_pass(self, here: Tally, needed: float) -> float | None:
        rates = expected_rates(self._total, here)
        if rates is None:
            return None
        longest = 0.0
        for _, rule in self._rules:
            seconds = seconds_until(partial(rule.log_e_pass_later, here, rates), needed)
            if seconds is None:
                return None
            longest = max(longest, seconds)
        return longest

    def _verdict(
        self, status: Status, because: str, here: Tally, *, seconds_to_pass: float | None = None
    ) -> Verdict:
        effect = self._effect()
        sentences = [reasons.seen(self._gate, self._total, effect)]
        if self._gate.limit is not None:
            total = self._total
            interval = fraction.confidence_sequence(
                total.candidate_bad / self._phi,
                total.candidate_requests / self._phi,
                alpha=1 - LEVEL,
            )
            sentences.append(reasons.seen_fraction(total, interval, self._gate.limit))
        return Verdict(
            gate=self._gate.name,
            status=status,
            reason=" ".join([*sentences, because]),
            effect=effect,
            evidence=self._evidence(here),
            samples=self._samples(),
            seconds_to_pass=seconds_to_pass,
        )

    def _effect(self) -> Effect | None:
        """The ratio; None while neither arm had a bad request beside requests of the other."""
        ell = self._total.ell
        if not ell.any():
            return None
        low, high = rate_ratio.confidence_sequence(ell, LEVEL)
        return Effect(estimate=rate_ratio.estimate(ell), low=low, high=high, level=LEVEL)

    def _evidence(self, here: Tally) -> Evidence | None:
        if not self._rules:
            return None
        return Evidence(
            fail=odds(max(rule.log_e_fail(self._total) for _, rule in self._rules)),
            fail_needed=self._fail_needed,
            pass_=odds(min(rule.log_e_pass(here) for _, rule in self._rules)),
            pass_needed=self._pass_needed,
        )

    def _samples(self) -> Samples:
        total = self._total
        return Samples(
            candidate_requests=total.candidate_requests,
            candidate_bad=total.candidate_bad,
            stable_requests=total.stable_requests,
            stable_bad=total.stable_bad,
            intervals=total.intervals,
            resets=total.resets,
            opened_at=total.opened_at,
            closed_at=total.closed_at,
        )

    def _step(self, step: int) -> Tally:
        if step not in self._steps:
            margin = self._rungs.get(step)
            rung = None if margin is None else Rung(margin=margin, total=self._total)
            self._steps[step] = Tally(ell=self._ratio.nothing(), rung=rung)
        return self._steps[step]


_Fold = _GateFold | TailsFold | NoBounds
