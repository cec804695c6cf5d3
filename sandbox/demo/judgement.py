"""How a rollout of the demo ended, as seen from the answers that clients got. Pure.

What Tidegate says of itself counts for little here: a promotion is when all answers come from the
new version, a rollback when none does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sandbox.demo.specs import SLOW_OVER_MS, Ending, Trial
from sandbox.load import Outcome

_OK = range(200, 300)


@dataclass(slots=True)
class Tally:
    """Answers of one server: all of them, those that failed, those over the latency gate's bound.

    A request that got no answer counts as failed, under the server that had begun one.
    """

    served: int = 0
    failed: int = 0
    slow: int = 0

    def add(self, outcome: Outcome) -> None:
        self.served += 1
        self.failed += is_failed(outcome)
        self.slow += is_slow(outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The names under which the two versions answer (`x-served-by`)."""

    stable: str
    candidate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What clients met from the start of a rollout until the next one began."""

    candidate: Tally
    own_failures: int
    """Failed answers that the candidate itself gave: the fault that the demo put into it."""
    other_failures: int
    """All other failed requests. A rollout must cause none."""
    bad_for: timedelta | None
    """From the first bad answer of the candidate to its last answer of any kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What became of a trial: how the API says it ended, and who answered afterwards."""

    trial: Trial
    servers: Servers
    phase: str
    reason: str
    took: timedelta
    failed_gates: Sequence[str]
    after: Mapping[str, Tally] = field(default_factory=dict)
    """Answers to requests that were sent after the end, by server."""


def is_failed(outcome: Outcome) -> bool:
    return outcome.status not in _OK


def is_slow(outcome: Outcome) -> bool:
    return outcome.seconds * 1000 > SLOW_OVER_MS


def tallied(outcomes: Iterable[Outcome]) -> dict[str, Tally]:
    """The answers by server."""
    tallies: dict[str, Tally] = {}
    for outcome in outcomes:
        tallies.setdefault(outcome.variant, Tally()).add(outcome)
    return tallies


def account(outcomes: Iterable[Outcome], servers: Servers, trial: Trial) -> Account:
    """Sums up one rollout; `outcomes` are all requests that were sent in its time."""
    listed = list(outcomes)
    served = [one for one in listed if one.variant == servers.candidate]
    failed = sum(map(is_failed, listed))
    # A broken-off answer has no status: that is never the simulated fault, which is a 500.
    own = sum(is_failed(one) and one.status != 0 for one in served) if _may_fail(trial) else 0
    bad = [_ended_at(one) for one in served if is_failed(one) or is_slow(one)]
    bad_for = None
    if bad and trial.ending is Ending.ROLLED_BACK:
        bad_for = timedelta(seconds=max(map(_ended_at, served)) - min(bad))
    return Account(
        candidate=tallied(served).get(servers.candidate, Tally()),
        own_failures=own,
        other_failures=failed - own,
        bad_for=bad_for,
    )


def broken_expectations(ended: Ended, account: Account, *, least: int) -> list[str]:
    """Every expectation that did not hold, with its numbers; `least` answers make a proof."""
    trial, after = ended.trial, ended.after
    broken = []
    if ended.phase != trial.ending:
        said = f"{ended.phase.replace('_', ' ')} ({ended.reason})"
        broken.append(f"{trial.version} had to be {trial.ending.words}, but is {said}")
    elif trial.gate is not None and trial.gate not in ended.failed_gates:
        gates = ", ".join(ended.failed_gates) or "none"
        broken.append(f"the {trial.gate} gate had to fail {trial.version}; failed: {gates}")
    total = sum(tally.served for tally in after.values())
    if total < least:
        broken.append(f"only {total} answers came after the end; {least} are needed to judge by")
    right = _serves_after(ended)
    wrong = {name: tally.served for name, tally in after.items() if name != right}
    if wrong:
        others = ", ".join(f"{count} from {name}" for name, count in sorted(wrong.items()))
        broken.append(f"all {total} answers after the end had to come from {right}; {others}")
    if account.other_failures:
        fault = "itself did not fail" if _may_fail(trial) else "has no fault to explain"
        count = account.other_failures
        broken.append(f"failed requests that {trial.version} {fault}: {count}, must be 0")
    return broken


def after_the_end(ended: Ended) -> str:
    """Who answered afterwards, in a sentence."""
    total = sum(tally.served for tally in ended.after.values())
    failed = sum(tally.failed for tally in ended.after.values())
    parts = [f"{tally.served:,} from {name}" for name, tally in sorted(ended.after.items())]
    gone = {ended.servers.stable, ended.servers.candidate} - ended.after.keys()
    parts += [f"none from {name}" for name in sorted(gone)]
    return f"{total:,} answers to requests sent after the end: {', '.join(parts)}; {failed} failed"


def _serves_after(ended: Ended) -> str:
    promoted = ended.trial.ending is Ending.PROMOTED
    return ended.servers.candidate if promoted else ended.servers.stable


def _may_fail(trial: Trial) -> bool:
    return trial.gate == "errors"


def _ended_at(outcome: Outcome) -> float:
    return outcome.sent_at + outcome.seconds
