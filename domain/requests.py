"""Which commands fit a rollout where it stands, and why the others do not."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from domain.errors import Conflict, Forbidden
from domain.plan import Plan
from domain.rollout import Action, Command, Scope
from domain.steps import Soak, Until


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A command as it is known again when it is repeated."""

    action: Action
    actor: str
    scope: Scope
    step: int


def taken(action: Action, command: Command) -> Taken | None:
    """By what a repeat of this command is known; None where it does not say which step it means."""
    if command.expected_step is None:
        return None
    return Taken(
        action=action, actor=command.actor, scope=command.scope, step=command.expected_step
    )


def require_fit(
    plan: Plan, step: int, action: Action, command: Command, left: Collection[str] = ()
) -> None:
    """Raise Conflict for a command that does not fit the step, Forbidden for want of a role.

    `left` are the challengers that have left a trial.
    """
    if command.expected_step not in (None, step):
        raise Conflict(
            f"the rollout is at step {step}, not {command.expected_step}; look again, then decide"
        )
    match action:
        case Action.PROMOTE:
            _require_promotable(plan, step, command.scope)
            _require_one(plan, step, command.variant, left)
        case Action.SKIP:
            _require_skippable(plan, step)
        case Action.APPROVE | Action.REJECT:
            _require_approval(plan, step, command)
        case Action.ABORT | Action.PAUSE | Action.RESUME:
            return


def _require_promotable(plan: Plan, step: int, scope: Scope) -> None:
    if plan.full_step is None:
        raise Conflict(f"this {plan.strategy} is never promoted: start a canary of the version")
    if not plan.is_deployed_at(step) and isinstance(plan.steps[step], Soak):
        raise Conflict("nothing is deployed yet that could be promoted; skip this step to go on")
    full = plan.promotion_from(step)
    to = full if scope is Scope.FULL else plan.promotion_by_one_from(step)
    for index, soak in _approvals(plan, step, to or step):
        where = "this step" if index == step else f"step {index}"
        raise Conflict(f"{where} waits for the approval of {_roles(soak)}; a promotion is none")


def _require_one(plan: Plan, step: int, variant: str, left: Collection[str]) -> None:
    """Refuse a promotion that does not say of whom; once the trial is over there is only one."""
    names = [one.name for one in plan.challengers if one.name not in left]
    decided = plan.decided_step
    is_open = decided is not None and step <= decided
    if variant and variant not in names:
        raise Conflict(f"{variant!r} cannot be promoted, only {' or '.join(names) or 'nobody'}")
    if not variant and len(names) != 1 and is_open:
        raise Conflict(f"name the variant that is to be promoted: {' or '.join(names) or 'none'}")


def _require_skippable(plan: Plan, step: int) -> None:
    soak = plan.steps[step]
    if not isinstance(soak, Soak):
        raise Conflict(f"only a step that waits can be skipped, not: {soak}")
    if soak.until is Until.APPROVED:
        raise Conflict(f"this step waits for the approval of {_roles(soak)}; it cannot be skipped")
    if soak.until is Until.DECIDED and plan.full_step is not None:
        raise Conflict("a test that may promote cannot be skipped: promote an arm, or abort")


def _require_approval(plan: Plan, step: int, command: Command) -> None:
    soak = plan.steps[step]
    if not isinstance(soak, Soak) or soak.until is not Until.APPROVED:
        raise Conflict(f"this step waits for no approval: {soak}")
    if soak.roles and not set(soak.roles) & set(command.roles):
        raise Forbidden(f"this step is approved or rejected by {_roles(soak)} only")


def _approvals(plan: Plan, step: int, to: int) -> Iterator[tuple[int, Soak]]:
    """The approvals that a jump would pass over."""
    for index in range(step, to):
        soak = plan.steps[index]
        if isinstance(soak, Soak) and soak.until is Until.APPROVED:
            yield index, soak


def _roles(soak: Soak) -> str:
    return " or ".join(soak.roles) or "somebody"
