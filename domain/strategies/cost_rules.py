"""Where the cost of a request can be told: where all of a variant's requests are counted."""

from collections.abc import Iterator, Sequence

from domain.errors import Violation
from domain.plan import Plan
from domain.reading_gates import AnyGate, CostQuestion, CostUnit, ReadingGate
from domain.traffic import PlaceKind


def cost_violations(plan: Plan, gates: Sequence[AnyGate]) -> Iterator[Violation]:
    """Gates that would tell a request's cost too high.

    Tokens are counted by workload, requests by slot: some may come beside it.
    """
    if not any(_comes_beside_slots(plan, i) for i in range(len(plan.steps))):
        return
    for i, gate in enumerate(gates):
        question = gate.question if isinstance(gate, ReadingGate) else None
        if isinstance(question, CostQuestion) and question.per is CostUnit.REQUEST:
            rule = "must be thousand_tokens: copies, previews and matched headers are not counted"
            yield Violation(f"gates.{i}.cost.per", rule)


def _comes_beside_slots(plan: Plan, step: int) -> bool:
    if not plan.reading_gates_at(step):
        return False
    if plan.candidate_at(step).kind is not PlaceKind.SLOT:
        return True
    return any(len(plan.places_of(one)) > 1 for one in (plan.stable, *plan.challengers))
