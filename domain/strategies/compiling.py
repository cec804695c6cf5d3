"""From the spec of any strategy to its plan."""

from typing import assert_never

from domain.plan import Plan
from domain.strategies.ab_test import AbTestSpec, compile_ab_test
from domain.strategies.blue_green import BlueGreenSpec, compile_blue_green
from domain.strategies.canary import CanarySpec, compile_canary
from domain.strategies.rules import Parties
from domain.strategies.shadow import ShadowSpec, compile_shadow

Spec = CanarySpec | BlueGreenSpec | ShadowSpec | AbTestSpec


def compile_plan(spec: Spec, parties: Parties) -> Plan:
    """Turn a spec into a plan. Raises InvalidSpec with every rule that the spec breaks."""
    match spec:
        case CanarySpec():
            return compile_canary(spec, parties)
        case BlueGreenSpec():
            return compile_blue_green(spec, parties)
        case ShadowSpec():
            return compile_shadow(spec, parties)
        case AbTestSpec():
            return compile_ab_test(spec, parties)
        case _:
            assert_never(spec)
