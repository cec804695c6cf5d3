"""Verdicts as a pure fold over the stored intervals: the same intervals, the same verdicts.

FAIL is earned over all intervals of a rollout and is for good; PASS is earned anew at each step. A
store that is silent is not known here: the caller says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from domain.evidence import prospects, rate_ratio, reasons
from domain.evidence.arrivals import Arrivals
from domain.evidence.baseline import Baseline
from domain.evidence.forecasts import Rates, expected_rates
from domain.evidence.intervals import Interval
from domain.evidence.meter_folds import MeterFold, in_order
from domain.evidence.mixtures import odds
from domain.evidence.prospects import LEVEL
from domain.evidence.quality import WARMING_UP, Circumstances, quality_of
from domain.evidence.rules import AgainstStableRule, LimitRule, Rule
from domain.evidence.tallies import Tally, increment_of, observe
from domain.evidence.warm_up import WarmUp
from domain.gates import AgainstStable, Gate
from domain.meters import meter_of
from domain.trial_verdicts import SplitVerdict
from domain.verdicts import Absolute, AtWeight, Effect, Evidence, Forecast, Samples, Status, Verdict


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
    counts. `checks_split`: no PASS while requests do not arrive as weighted.
    """

    def __init__(
        self,
        gates: Sequence[Gate],
        *,
        phi: float = 1.0,
        baseline: Baseline | None = None,
        warm_up: timedelta = timedelta(0),
        checks_split: bool = True,
    ) -> None:
        self._baseline = baseline or Baseline(phi=phi)
        family = sum(
            (gate.limit is not None) + (gate.against_stable is not None)
            for gate in gates
            if not gate.dry_run
        )
        folds = [_GateFold(gate, family, self._baseline.phi) for gate in gates]
        needed = [max(family, 1) / gate.alpha for gate in gates]
        self._arrivals = Arrivals(checks_split=checks_split)
        self._crossings: dict[int, Circumstances] = {}
        self._meters: dict[str, MeterFold] = {}
        for name, places in _by_meter(gates).items():
            warming = WarmUp(
                *([gates[i] for i in places], [needed[i] for i in places]),
                phi=self._baseline.phi,
                lasts=warm_up,
            )
            self._meters[name] = MeterFold(places, [folds[i] for i in places], warming)
        self._meters.setdefault("", MeterFold([], [], WarmUp([], [], phi=1.0, lasts=warm_up)))

    def add(self, interval: Interval, meter: str = "") -> None:
        """Take the next interval of a meter in; only its gates see it.

        Raises ValueError when it is not after the last one.
        """
        fold = self._meters[meter]
        fold.add(interval)
        if not meter:
            self.arrive(interval)
        for place in fold.failed():
            if place not in self._crossings:
                self._crossings[place] = self._circumstances(fold, None if meter else interval.step)

    def arrive(self, interval: Interval) -> None:
        """Take in only how the requests of an interval of the gateway's arrived.

        Every PASS rests on that, of whatever meter.
        """
        self._arrivals.add(interval)

    def verdicts(self, step: int, *, in_full: bool = True) -> tuple[Verdict, ...]:
        """One verdict a gate; asking changes nothing.

        Those not `in_full` lack what takes long and no chart shows: `absolute` and `forecast`.
        """
        found = in_order(
            zip(meter.places, meter.verdicts(step, in_full=in_full), strict=True)
            for meter in self._meters.values()
        )
        when = {
            place: self._circumstances(meter, step)
            for meter in self._meters.values()
            for place in meter.places
        } | self._crossings
        held = enumerate(self._arrivals.held(found, step))
        return tuple(self._explained(verdict, when[place]) for place, verdict in held)

    def statuses(self, step: int) -> tuple[Status, ...]:
        """What the verdicts say without their numbers, at a tenth of the cost."""
        found = in_order(
            zip(meter.places, meter.statuses(step), strict=True) for meter in self._meters.values()
        )
        return self._arrivals.held_statuses(found, step)

    def split(self, step: int) -> SplitVerdict | None:
        """How the requests of a step arrive; None where no split is checked."""
        return self._arrivals.split(step)

    def _circumstances(self, meter: MeterFold, step: int | None) -> Circumstances:
        """`step` is None where the gateway's intervals are not those that are judged.

        How the two interleave is not stored, and what a FAIL keeps must be computable anew.
        """
        flags = () if step is None else self._arrivals.flags(step)
        return Circumstances(
            look=meter.look,
            closed_at=meter.closed_at,
            split=None if step is None else self._arrivals.shares(step),
            flags=(WARMING_UP, *flags) if meter.is_warming_up else flags,
        )

    def _explained(self, verdict: Verdict, when: Circumstances) -> Verdict:
        """With what the evidence was divided by, where somebody has said why, and from when."""
        phi, source = self._baseline.phi, self._baseline.phi_source
        reason = verdict.reason
        if phi > 1 and source and verdict.samples is not None:
            reason = f"{reason} {reasons.clustered(phi, source)}"
        return replace(
            verdict,
            reason=reason,
            quality=quality_of(self._baseline, when, verdict.samples),
            look=when.look or None,
            decided_at=when.closed_at if verdict.status in (Status.PASS, Status.FAIL) else None,
        )


def _by_meter(gates: Sequence[Gate]) -> dict[str, list[int]]:
    """The places of the gates by the meter that they are judged on."""
    found: dict[str, list[int]] = {}
    for place, gate in enumerate(gates):
        found.setdefault(meter_of(gate).name, []).append(place)
    return found


class _GateFold:
    """One gate: its tallies over the rollout and per step, and its FAIL once there is one."""

    def __init__(self, gate: Gate, family: int, phi: float) -> None:
        margins = gate.against_stable or AgainstStable()
        self._gate, self._family, self._phi = gate, family, phi
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
        self._highest = 0.0  # log odds for FAIL, of any rule, at any time so far

    @property
    def has_failed(self) -> bool:
        return self._failed is not None

    def _build_rules(self) -> list[tuple[AgainstStable | float, Rule]]:
        rules: list[tuple[AgainstStable | float, Rule]] = []
        if self._gate.against_stable is not None:
            margins = self._gate.against_stable
            rules.append((margins, AgainstStableRule(margins, self._ratio, self._phi)))
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
        increment = increment_of(self._ratio, seen, self._phi)
        self._total.add(seen, interval, increment)
        self._step(interval.step).add(seen, interval, increment)
        if seen.candidate_bad:  # evidence for FAIL grows with no other request
            self._latch(interval.step)

    def _latch(self, step: int) -> None:
        """Keep the verdict of the first crossing: the guarantee is about that one."""
        risen = [
            (rule.log_e_fail(self._total), claim, rule)
            for claim, rule in self._rules
            if rule.has_failed(self._total, self._highest)
        ]
        if not risen:
            return
        log_e, claim, rule = max(risen, key=lambda each: each[0])
        self._highest = max(self._highest, log_e)
        if log_e >= math.log(self._fail_needed):
            because = reasons.refuted(claim, odds(log_e), self._fail_needed)
            start = rule.failing_since(self._total)
            if start:
                because = f"{reasons.seen_since(self._total, start)} {because}"
            self._failed = self._verdict(Status.FAIL, because, self._step(step))

    def verdict(self, step: int, *, in_full: bool = True) -> Verdict:
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
            because = "The gate has no rule to judge by."
            return self._verdict(Status.UNDECIDED, because, here, in_full=in_full)
        return self._weigh(here, in_full=in_full)

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

    def _weigh(self, here: Tally, *, in_full: bool) -> Verdict:
        """PASS when each rule has its evidence from this step, else what is still missing."""
        needed = math.log(self._pass_needed)
        missing, have = [], []
        for claim, rule in self._rules:
            log_e = rule.log_e_pass(here)
            if log_e >= needed:
                have.append(reasons.proven(claim, odds(log_e), self._pass_needed))
            else:
                missing.append(reasons.not_yet_proven(claim, odds(log_e), self._pass_needed))
        place = reasons.at_weight(here, self._total)
        if not missing:
            because = f"Good enough {place}: {', and '.join(have)}."
            return self._verdict(Status.PASS, because, here, seconds_to_pass=0.0, in_full=in_full)
        rates = expected_rates(self._total, here)
        rules = [rule for _, rule in self._rules]
        seconds = prospects.seconds_to_pass(rules, here, rates, needed) if rates else None
        forecast = self._forecast(here, rates, seconds) if rates and in_full else None
        other = prospects.sooner(seconds, forecast.at_weight) if forecast else None
        lacking = " and ".join(missing)
        because = f"Not enough data yet {place}: {lacking}; {reasons.still_needed(seconds, other)}."
        found = self._verdict(
            Status.UNDECIDED, because, here, seconds_to_pass=seconds, in_full=in_full
        )
        return replace(found, forecast=forecast)

    def _forecast(self, here: Tally, rates: Rates, seconds: float | None) -> Forecast:
        rules = [rule for _, rule in self._rules]
        others: tuple[AtWeight, ...] = ()
        if seconds is None or seconds > prospects.WORTH_ASKING_SECONDS:
            others = prospects.at_other_weights(rules, here, rates, math.log(self._pass_needed))
        until_fail = prospects.seconds_to_fail(
            self._gate,
            self._ratio,
            self._total,
            rates,
            phi=self._phi,
            needed=math.log(self._fail_needed),
        )
        return Forecast(seconds_to_fail=until_fail, at_weight=others)

    def _verdict(
        self,
        status: Status,
        because: str,
        here: Tally,
        *,
        seconds_to_pass: float | None = None,
        in_full: bool = True,
    ) -> Verdict:
        effect, limit = self._effect(), self._gate.limit
        sentences = [reasons.seen(self._gate, self._total, effect)]
        absolute = self._absolute() if in_full or limit is not None else None
        if limit is not None and absolute is not None:
            interval = (absolute.low, absolute.high)
            sentences.append(reasons.seen_fraction(self._total, interval, limit))
        return Verdict(
            gate=self._gate.name,
            status=status,
            reason=" ".join([*sentences, because]),
            effect=effect,
            evidence=self._evidence(here),
            samples=self._samples(),
            seconds_to_pass=seconds_to_pass,
            absolute=absolute,
        )

    def _absolute(self) -> Absolute | None:
        return prospects.absolute_of(self._total, self._gate, phi=self._phi)

    def _effect(self) -> Effect | None:
        """The ratio; None while neither arm had a bad request beside requests of the other."""
        ell = self._total.ell
        if not ell.any():
            return None
        low, high = rate_ratio.confidence_sequence(ell, LEVEL)
        margins = self._gate.against_stable
        return Effect(
            estimate=rate_ratio.estimate(ell),
            low=low,
            high=high,
            level=LEVEL,
            fail_ratio=margins.fail_ratio if margins else None,
            pass_ratio=margins.pass_ratio if margins else None,
        )

    def _evidence(self, here: Tally) -> Evidence | None:
        if not self._rules:
            return None
        return Evidence(
            fail=odds(max(rule.log_e_fail(self._total) for _, rule in self._rules)),
            fail_needed=self._fail_needed,
            pass_=odds(min(rule.log_e_pass(here) for _, rule in self._rules)),
            pass_needed=self._pass_needed,
            p_always_valid=math.exp(-self._highest),
            alpha=self._gate.alpha,
            gates_in_family=max(self._family, 1),
            rules=len(self._rules),
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
            self._steps[step] = Tally(ell=self._ratio.nothing())
        return self._steps[step]
