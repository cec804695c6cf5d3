"""Backtests as tests ask for them: of two slots over an hour, or of a rollout that has counted."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from domain.registry import TrafficConfig
from tests.api.caller import Caller, canary
from tests.api.staging import change
from tests.api.test_analysis import BEGAN, CANDIDATE, HOUR, STABLE, counted, keep
from tests.api.test_metrics import add_variant
from tests.fakes.registry import MemoryRegistry

# What the gateway counts of two arms of which one is as good as the other.
ALIKE = {STABLE: counted(rps=90, bad_each=100), CANDIDATE: counted(rps=10, bad_each=100)}
TWO_STEPS = (2, 10, 0, 900), (4, 50, 960, 2100)


class Backtests:
    def __init__(self, api: Caller, ids: dict[str, str], evidence: Any) -> None:
        self._api, self._ids, self._evidence = api, ids, evidence

    async def of_slots(self, **changes: Any) -> dict[str, Any]:
        return await self._answered(self._slots(changes), 200)

    async def refused(self, status: int = 422, **changes: Any) -> dict[str, Any]:
        return await self._answered(self._slots(changes), status)

    async def started(self, *gates: Any, **changes: Any) -> dict[str, Any]:
        """A rollout of these gates."""
        path = f"/traffic_configs/{self._ids['config']}/rollouts"
        wish = canary(self._ids["v2"], gates=list(gates), **changes)
        return await self._api.made(path, wish)

    async def of_rollout(
        self, rollout: dict[str, Any], *stretches: Any, **wish: Any
    ) -> dict[str, Any]:
        """The backtest of a rollout, which counts in these stretches."""
        await keep(self._evidence, rollout, *stretches)
        return await self._answered({"rollout_id": rollout["id"], **wish}, 200)

    def _slots(self, changes: dict[str, Any]) -> dict[str, Any]:
        slots = {"candidate_slot": 1, "stable_slot": 0}
        wish = {"traffic_config_id": self._ids["config"], **slots, **HOUR, **changes}
        return {field: value for field, value in wish.items() if value is not None}

    async def _answered(self, wish: dict[str, Any], status: int) -> dict[str, Any]:
        answer = await self._api.post("/analysis/backtest", wish)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found


def naming_both(registry: MemoryRegistry, ids: dict[str, str]) -> dict[str, Any]:
    """The wish that names both arms instead of slots, which they have held from noon on."""
    add_variant(registry, ids, "canary", "v2", slot=1)
    config = registry.things[TrafficConfig][UUID(ids["config"])]
    there = tuple(replace(one, joined_at=BEGAN) for one in config.variants)
    change(registry, TrafficConfig, config.id, variants=there)
    return {"candidate": "canary", "candidate_slot": None, "stable_slot": None}
