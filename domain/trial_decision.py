"""What a trial comes to, step by step: who is taken out, how traffic is divided anew, who has won.

What leaves a trial leaves it for good, at once, and goes on to be judged by nobody; what gives an
arm more traffic, or all of it, waits for everything else.
"""

from collections.abc import Iterable, Iterator, Mapping

from domain import arm_traffic
from domain.plan import Plan
from domain.progress import Advance, Cause, Progress, Reallocate
from domain.rollout import Command, Scope
from domain.steps import Reaction, SetWeights
from domain.trial_verdicts import Outcome, TrialVerdict
from domain.verdicts import Status, Verdict

Trouble = tuple[Cause, Reaction, str]


def troubles_of(plan: Plan, verdicts: Iterable[Verdict], not_ready: str) -> Iterator[Trouble]:
    """What speaks against one challenger by itself."""
    failed = [v for v in plan.deciding(verdicts) if v.status is Status.FAIL]
    for verdict in sorted(failed, key=plan.is_critical, reverse=True):
        yield Cause.GATE_FAILED, _reaction_to(plan, verdict), verdict.reason
    if not_ready:
        yield Cause.NOT_READY, plan.policies.on_not_ready, not_ready


def _reaction_to(plan: Plan, failed: Verdict) -> Reaction:
    """The policy's; a gate that is not critical asks a person at the most."""
    reaction = plan.policies.on_failure
    if reaction is Reaction.ROLL_BACK and not plan.is_critical(failed):
        return Reaction.PAUSE
    return reaction


def troubles(plan: Plan, progress: Progress) -> Iterator[Trouble]:
    """What speaks against the arms, but for those that leave while others stay."""
    by_arm = _by_arm(plan, progress)
    unbearable = _unbearable(by_arm)
    for name, of_arm in by_arm.items():
        if len(unbearable) == len(by_arm) or name not in unbearable:
            yield from of_arm


def taken_out(plan: Plan, progress: Progress) -> Reallocate | None:
    """Whose traffic goes to stable now: an arm's own trouble, or proof that another is better."""
    arms = progress.traffic_in(plan).arms
    if plan.trial is None or arms is None:
        return None
    reasons = {**_beaten(progress.seen.trial), **_unbearable(_by_arm(plan, progress))}
    leaving = tuple(name for name in progress.arms_in(plan) if name in reasons)
    if not leaving:
        return None
    return Reallocate(
        traffic=arm_traffic.without(plan.trial, arms, leaving),
        reason="; ".join(f"{name} leaves the trial: {reasons[name]}" for name in leaving),
        leaving=leaving,
    )


def divided_anew(plan: Plan, progress: Progress) -> Reallocate | None:
    """The weights that are due, where they are not those of now."""
    traffic, due = progress.traffic_in(plan), progress.seen.due
    if plan.trial is None or traffic.arms is None or due is None:
        return None
    if dict(due) == plan.weights_under(traffic):
        return None
    shares = ", ".join(f"{name} {weight} %" for name, weight in due.items())
    return Reallocate(
        traffic=arm_traffic.reallocated(plan.trial, traffic.arms, due),
        reason=f"the weights follow the reward: {shares}",
    )


def ended(plan: Plan, progress: Progress) -> Advance | str:
    """Where a trial that is decided goes on; what is missing where it is not."""
    verdict, conclude = progress.seen.trial, plan.conclude_step
    if verdict is None:
        return "waiting for the first evidence"
    if progress.seen.unavailable_since is not None:
        return "the metrics are unavailable"
    if verdict.outcome is Outcome.UNDECIDED or conclude is None:
        return verdict.reason
    winner = verdict.winner
    if winner is None or winner == plan.stable.name:
        return Advance(to=conclude, reason=f"stable keeps the traffic. {verdict.reason}")
    if missing := _unproven(plan, progress, winner):
        return f"{verdict.reason} {winner} is not promoted yet: {missing}"
    return Advance(to=progress.step + 1, reason=verdict.reason, chosen=winner)


def chosen_by(plan: Plan, traffic: SetWeights, command: Command) -> str | None:
    """Whom somebody's word makes the candidate, "" for the one of now; None for who has left.

    A promotion that names nobody means the only challenger that is left.
    """
    if command.scope is Scope.SKIP:
        return ""
    if traffic.arms is None:
        return command.variant
    present = plan.present_under(traffic)
    if not command.variant:
        return present[0] if len(present) == 1 else None
    return command.variant if command.variant in present else None


def _unproven(plan: Plan, progress: Progress, winner: str) -> str:
    """Why the gates do not let the winner have all traffic; nothing where they do."""
    verdicts = [v for v in plan.deciding(progress.seen.verdicts) if v.variant == winner]
    if len(verdicts) < plan.verdicts_at(progress.step):
        return "waiting for its gates"
    pending = (v.reason for v in verdicts if v.status is not Status.PASS)
    return next(pending, "")


def _by_arm(plan: Plan, progress: Progress) -> dict[str, list[Trouble]]:
    seen = progress.seen
    return {
        name: list(
            troubles_of(
                plan,
                [v for v in seen.verdicts if v.variant == name],
                seen.unfit.get(name, ""),
            )
        )
        for name in progress.arms_in(plan)
    }


def _unbearable(by_arm: Mapping[str, list[Trouble]]) -> dict[str, str]:
    """The arms with trouble that a policy rolls back for, and why."""
    return {
        name: reason
        for name, of_arm in by_arm.items()
        for _, reaction, reason in reversed(of_arm)
        if reaction is Reaction.ROLL_BACK
    }


def _beaten(verdict: TrialVerdict | None) -> dict[str, str]:
    if verdict is None:
        return {}
    return {arm.arm: f"{arm.beaten_by} is proven better" for arm in verdict.arms if arm.beaten_by}
