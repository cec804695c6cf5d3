"""One gate over a rollout: its tallies, its evidence, and its FAIL once there is one."""

import math
from collections.abc import Mapping
from dataclasses import replace

from domain.evidence import prospects, rate_ratio, reasons
from domain.evidence.baseline import Baseline
from domain.evidence.forecasts import Rates, expected_rates
from domain.evidence.intervals import Interval
from domain.evidence.mixtures import odds
from domain.evidence.prospects import LEVEL
from domain.evidence.rules import AgainstStableRule, LimitRule, Rule
from domain.evidence.rungs import said
from domain.evidence.slower import SlowerRule
from domain.evidence.tails import NoBounds, TailsFold
from domain.evidence.tallies import Rung, Tally, increment_of, observe
from domain.gates import AgainstStable, Gate
from domain.verdicts import Absolute, AtWeight, Effect, Evidence, Forecast, Samples, Status, Verdict


class OneGate:
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
        self._gate, self._family, self._phi, self._is_part = gate, family, phi, is_part
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
        before = self._total.weight
        is_rise = before is not None and interval.weight > before
        for _, rule in self._rules:
            rule.restart(self._total, is_rise=is_rise)
            rule.learn(seen)
        increment = increment_of(self._ratio, seen, self._phi)
        self._total.add(seen, interval, increment)
        self._step(interval.step).add(seen, interval, increment)
        # Evidence for FAIL grows with no other request.
        if seen.candidate_bad and not self._is_part:
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
        missing: list[str] = []
        have: list[str] = []
        for claim, rule in self._rules:
            log_e = rule.log_e_pass(here)
            told = said(claim, here, odds(log_e), self._gate.beta)
            (have if log_e >= needed else missing).append(told)
        place = reasons.at_weight(here, self._total)
        if not missing:
            because = f"Good enough{place}: {', and '.join(have)}."
            return self._verdict(Status.PASS, because, here, seconds_to_pass=0.0, in_full=in_full)
        rates = expected_rates(self._total, here)
        rules = [rule for _, rule in self._rules]
        seconds = prospects.seconds_to_pass(rules, here, rates, needed) if rates else None
        forecast = self._forecast(here, rates, seconds) if rates and in_full else None
        other = prospects.sooner(seconds, forecast.at_weight) if forecast else None
        lacking = " and ".join(missing)
        because = f"Not enough data yet{place}: {lacking}; {reasons.still_needed(seconds, other)}."
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
            margin = self._rungs.get(step)
            rung = None if margin is None else Rung(margin=margin, total=self._total)
            self._steps[step] = Tally(ell=self._ratio.nothing(), rung=rung)
        return self._steps[step]


def fold_of(
    gate: Gate, family: int, baseline: Baseline, margins: Mapping[int, float]
) -> OneGate | TailsFold | NoBounds:
    """The gate at its bound, or at those of stable's history where it names none."""
    if not gate.takes_bounds_of_stable:
        return OneGate(gate, family, baseline.phi, margins)
    bounds = baseline.slow_bounds.get(gate.name, ())
    if not bounds:
        return NoBounds(gate)
    each = [replace(gate, slow_over_ms=bound) for bound in bounds]
    parts = [OneGate(one, family, baseline.phi, margins, is_part=True) for one in each]
    return TailsFold(gate, parts, fail_needed=max(family, 1) / gate.alpha)
