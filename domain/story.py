"""A rollout told for people: the lines and the table that the Temporal UI shows."""

from collections.abc import Iterable, Iterator, Mapping

from domain.plan import Plan
from domain.rollout import Phase
from domain.steps import SetWeights, Soak, Step
from domain.trial_verdicts import ArmVerdict, TrialVerdict
from domain.verdicts import Verdict

PAD = "\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}"
_ARMS = ("arm", "standing", "rewarded", "rate", "best by now")
LONGEST_LINE_BYTES = 390  # Temporal takes 400 for a summary, and refuses the rest of the command


def line(text: str) -> str:
    """As much of the text as one line of the Temporal UI takes."""
    return text.encode()[:LONGEST_LINE_BYTES].decode(errors="ignore")


def headline(plan: Plan) -> str:
    """One line: what is rolled out, where."""
    stable, challengers = plan.stable.version_name, [v.version_name for v in plan.challengers]
    between = f"{stable} against" if plan.trial is not None else f"{stable} to"
    return f"{plan.strategy} of {plan.route.model}: {between} {', '.join(challengers)}"


def overview(plan: Plan) -> str:
    """The plan as Markdown."""
    steps = "\n".join(f"{i}. {step}" for i, step in enumerate(plan.steps, start=1))
    gates = ", ".join(f"`{gate.name}`" for gate in plan.all_gates) or "none"
    return f"**{headline(plan)}**\n\n{steps}\n\nGates: {gates}"


def details(
    plan: Plan,
    *,
    phase: Phase,
    reason: str,
    step: int,
    weights: Mapping[str, int],
    verdicts: tuple[Verdict, ...],
    trial: TrialVerdict | None = None,
) -> str:
    """The present state as Markdown: phase, the steps with a mark, the verdicts with reasons."""
    lines = [
        f"**{phase.replace('_', ' ')}** at step {step + 1} of {len(plan.steps)}: {reason}",
        "",
        " · ".join(f"{name} {weight} %" for name, weight in weights.items()),
        "",
        *_table(
            ("", "step", "candidate", ""),
            (
                (str(i + 1), str(one), _percent(one), _mark(i, step, phase))
                for i, one in enumerate(plan.steps)
            ),
        ),
    ]
    if trial is not None:
        lines += ["", f"Trial: {trial.reason}", "", *_table(_ARMS, map(_of_arm, trial.arms))]
    if verdicts:
        rows = ((v.named, str(v.status), v.reason) for v in verdicts)
        lines += ["", *_table(("gate", "verdict", "why"), rows)]
    return "\n".join(lines)


def _of_arm(arm: ArmVerdict) -> tuple[str, ...]:
    rate = "" if arm.estimate is None else f"{arm.estimate:.4g} ({arm.low:.4g} to {arm.high:.4g})"
    best = "" if arm.prob_best is None else f"{arm.prob_best:.0%}"
    return arm.arm, str(arm.standing), f"{arm.good:,} of {arm.total:,}", rate, best


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A Markdown table. The Temporal UI sets cells without padding, hence the hard spaces."""
    yield _row(head)
    yield "|" + "---|" * len(head)
    yield from map(_row, rows)


def _row(cells: tuple[str, ...]) -> str:
    return "|" + "|".join(f"{PAD}{cell.replace('|', '/')}{PAD}" for cell in cells) + "|"


def _percent(step: Step) -> str:
    weight = weight_of(step)
    return "" if weight is None else f"{weight} %"


def _mark(i: int, step: int, phase: Phase) -> str:
    if phase in {Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.FAILED} and i >= step:
        return "given up" if i == step else ""
    if i < step or phase is Phase.PROMOTED:
        return "done"
    return "now" if i == step else ""


def weight_of(step: Step) -> int | None:
    """The candidate's weight that a step stands for, None where it has none of its own."""
    match step:
        case SetWeights(candidate=weight) | Soak(weight=weight):
            return weight
        case _:
            return None
