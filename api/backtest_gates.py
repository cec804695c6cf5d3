"""Which gates a backtest replays: those that are named, else those of whoever is replayed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from api.errors import broken
from api.pasts import Past
from api.schemas.gates import GateBody
from domain.errors import InvalidSpec, Violation
from domain.gates import Gate
from domain.meters import GATEWAY, meter_of
from domain.reading_gates import AnyGate
from domain.strategies.gate_rules import gate_violations


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """All gates with statistics; `unread` names those that are not replayed."""

    gates: tuple[Gate, ...]
    unread: tuple[str, ...] = ()


def chosen(
    named: Sequence[GateBody] | None, default: Sequence[AnyGate], pasts: Sequence[Past]
) -> Choice:
    """What is named must be replayable in full; of the others as many as can be.

    Raises InvalidSpec with every broken rule.
    """
    if named is not None:
        gates = tuple(body.to_domain() for body in named)
        if violations := (*gate_violations(gates), *_unreplayed(gates, pasts)):
            raise InvalidSpec(*violations)
        return Choice(gates=gates)
    gates = tuple(gate for gate in default if isinstance(gate, Gate))
    unread = tuple(gate.name for gate in gates if _in_the_way(gate, pasts))
    if len(unread) == len(gates):
        raise broken("gates", "must be given: there are none to replay")
    return Choice(gates=gates, unread=unread)


def _unreplayed(gates: Sequence[Gate], pasts: Sequence[Past]) -> Iterator[Violation]:
    for i, gate in enumerate(gates):
        if rule := _in_the_way(gate, pasts):
            yield Violation(f"gates.{i}.source", rule)


def _in_the_way(gate: Gate, pasts: Sequence[Past]) -> str:
    """Why a gate cannot be replayed; empty where it can be."""
    if meter_of(gate) == GATEWAY or all(past.has_workloads for past in pasts):
        return ""
    return (
        f"must be envoy where a slot alone is named: {gate.source} counts by workload, so name "
        "candidate and stable"
    )
