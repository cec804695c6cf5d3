"""A rollout told for people: the lines and the table that the Temporal UI shows."""

from collections.abc import Iterable, Iterator

from domain.plan import Plan
from domain.rollout import Phase
from domain.steps import SetWeights, Soak, Step
from domain.traffic import FULL
from domain.verdicts import Verdict

PAD = "\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}"
LONGEST_LINE_BYTES = 390  # Temporal takes 400 for a summary, and refuses the rest of the command


def line(text: str) -> str:
    """As much of the text as one line of the Temporal UI takes."""
    return text.encode()[:LONGEST_LINE_BYTES].decode(errors="ignore")


def headline(plan: Plan) -> str:
    """One line: what is rolled out, where."""
    return (
        f"{plan.strategy} of {plan.route.model}: "
        f"{plan.stable.version_name} to {plan.candidate.version_name}"
    )


def overview(plan: Plan) -> str:
    """The plan as Markdown."""
    steps = "\n".join(f"{i}. {step}" for i, step in enumerate(plan.steps, start=1))
    gates = ", ".join(f"`{gate.name}`" for gate in plan.gates) or "none"
    return f"**{headline(plan)}**\n\n{steps}\n\nGates: {gates}"


def details(
    plan: Plan, *, phase: Phase, reason: str, step: int, weight: int, verdicts: tuple[Verdict, ...]
) -> str:
    """The present state as Markdown: phase, the steps with a mark, the verdicts with reasons."""
    lines = [
        f"**{phase.replace('_', ' ')}** at step {step + 1} of {len(plan.steps)}: {reason}",
        "",
        f"{plan.stable.name} {FULL - weight} % · {plan.candidate.name} {weight} %",
        "",
        *_table(
            ("", "step", "candidate", ""),
            (
                (str(i + 1), str(one), _percent(one), _mark(i, step, phase))
                for i, one in enumerate(plan.steps)
            ),
        ),
    ]
    if verdicts:
        rows = ((v.gate, str(v.status), v.reason) for v in verdicts)
        lines += ["", *_table(("gate", "verdict", "why"), rows)]
    return "\n".join(lines)


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
