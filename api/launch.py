"""From a request to a running rollout: compile the plan, store the row, start the workflow.

The row comes first, so that a crash in between leaves a pending rollout that walks nothing, never
a walk that nobody can see. A repeat under the same Idempotency-Key finds that row and starts it.
"""

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4, uuid5

from api.busy import HOUSEKEEPING_PATIENCE, Patience, in_the_way, is_housekeeping
from api.errors import KeyReused, RolloutRunning, broken
from api.parties import parties_of
from api.parts import Parts
from api.schemas.gate_templates import uses_of
from api.schemas.rollouts import RolloutIn
from api.templates import Filled, answerable, fill, filled_defaults
from domain.division import was_stable_lately
from domain.errors import (
    AlreadyExists,
    AlreadyRunning,
    Conflict,
    InvalidSpec,
    NotFound,
    Outdated,
    Violation,
)
from domain.hooks import hook_violations
from domain.plan import Plan, Strategy
from domain.ports import Registry
from domain.registry import (
    ConfigStatus,
    TrafficConfig,
    TrafficVariant,
)
from domain.rollout import Phase, Rollout, workflow_id
from domain.strategies.compiling import compile_plan
from domain.strategies.way_back import compile_way_back

# The registry knows of an end a moment before its workflow closes and makes room.
_WHILE_CLOSING_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8)
_KEYED = UUID("6a0f7c1e-9f3b-4f6e-8d2a-0f5d3f7f1a11")


async def compiled(parts: Parts, config: TrafficConfig, wish: RolloutIn) -> Plan:
    """The plan that the wish comes to on the config as it stands.

    Raises InvalidSpec with every broken rule, NotFound for a version that the project does not
    have, Conflict while the config has no traffic to split.
    """
    stable = _splittable(config)
    parties = await parties_of(parts.registry, config, stable, wish.challengers)
    templates = await _filled(parts, config, wish)
    is_way_back = wish.skip_steps and was_stable_lately(
        config.variants,
        parties.candidate.version_id,
        now=datetime.now(UTC),
        window=config.rollback_window,
    )
    is_way_back = is_way_back and wish.strategy not in (Strategy.SHADOW, Strategy.AB_TEST)
    own = "default_gates" if wish.takes_default_gates else "gates"
    with templates.placing(len(wish.own_gates(config)), own=own):
        spec = wish.to_domain(config, templates.gates)
        spec = replace(spec, gates=answerable(parts, config, spec.gates))
        if is_way_back:
            plan = compile_way_back(wish.strategy, spec, parties)
        else:
            plan = compile_plan(spec, parties)
    if violations := tuple(hook_violations(plan.hooks, parts.hooks_allowed)):
        raise InvalidSpec(*violations)
    await _require_group(parts, config.project_id, wish.group)
    return replace(plan, group=wish.group, asks_the_fleet=True, templates=templates.pins)


async def _filled(parts: Parts, config: TrafficConfig, wish: RolloutIn) -> Filled:
    """The templates that the wish names, or where it names no gate at all, those of the config."""
    if wish.takes_default_gates:
        return await filled_defaults(parts.templates, config)
    uses = uses_of(wish.gate_templates)
    return await fill(parts.templates, config.project_id, uses, "gate_templates")


async def _require_group(parts: Parts, project_id: UUID, name: str | None) -> None:
    if name is None:
        return
    try:
        await parts.fleet.group(project_id, name)
    except NotFound as error:
        raise broken("group", f"{name!r} is no rollout group of this project") from error


async def launch(
    parts: Parts, project_id: UUID, config_id: UUID, wish: RolloutIn, key: str | None
) -> Rollout:
    """Start the rollout, or give back the one that the key has started before.

    Raises RolloutRunning when the config's traffic is in other hands.
    """
    patience = Patience(HOUSEKEEPING_PATIENCE)
    while True:
        try:
            rollout = await _kept(parts, project_id, config_id, wish, key)
        except AlreadyRunning as error:
            if not (is_housekeeping(error) and await patience.allows()):
                raise
        else:
            return rollout if rollout.phase is not Phase.PENDING else await _started(parts, rollout)


async def again(
    parts: Parts, rollout: Rollout, *, actor: str, reason: str, key: str | None
) -> Rollout:
    """Start a rollout of the same pinned plan, in a run and with evidence of its own.

    Raises Outdated where the plan is no longer true: another version is stable, or holds its slot.
    """
    digest = hashlib.sha256(b"again" + rollout.id.bytes + f"{actor}\n{reason}".encode()).hexdigest()
    new_id = _rollout_id(rollout.project_id, key, digest)
    if key is not None and (earlier := await _found(parts.registry, rollout.project_id, new_id)):
        return earlier if earlier.phase is not Phase.PENDING else await _started(parts, earlier)
    config = await parts.registry.config(rollout.project_id, rollout.config_id)
    await _require_idle(parts.registry, config)
    _splittable(config)
    await _require_group(parts, rollout.project_id, rollout.plan.group)
    because = f"rollout {rollout.id} again" + (f": {reason}" if reason else "")
    pending = _pending(new_id, rollout.plan, actor, because)
    return await _started(parts, await _stored(parts, pending, key, digest))


async def _kept(
    parts: Parts, project_id: UUID, config_id: UUID, wish: RolloutIn, key: str | None
) -> Rollout:
    """The rollout's row: that of the key, or a pending one of the plan as it is now."""
    registry, digest = parts.registry, _digest(config_id, wish)
    rollout_id = _rollout_id(project_id, key, digest)
    earlier = await _found(registry, project_id, rollout_id) if key is not None else None
    if earlier is not None and earlier.phase is not Phase.PENDING:
        return earlier
    config = await registry.config(project_id, config_id)
    await _require_idle(registry, config)
    plan = await compiled(parts, config, wish)
    if earlier is not None and earlier.plan != plan:
        await registry.discard_rollout(project_id, earlier.id)
        earlier = None
    return earlier or await _stored(
        parts, _pending(rollout_id, plan, wish.actor, wish.reason), key, digest
    )


async def _require_idle(registry: Registry, config: TrafficConfig) -> None:
    """Raise RolloutRunning while a rollout walks: no plan can be made beside its candidate.

    A pending one may have been left behind by a crash: whether it walks is asked when starting.
    """
    running = await registry.live_rollout(config.project_id, config.id)
    if running is not None and running.phase is not Phase.PENDING:
        raise RolloutRunning(running)


def _splittable(config: TrafficConfig) -> TrafficVariant:
    """The stable variant of a config whose traffic flows."""
    if config.status is not ConfigStatus.ACTIVE:
        because = f": {config.status_reason}" if config.status_reason else ""
        raise Conflict(f"the traffic config is {config.status}, not active{because}")
    if config.paused:
        raise Conflict("the traffic config is paused; unpause it first")
    if config.stable is None:
        raise Conflict("the traffic config has no stable variant to start from")
    others = [v for v in config.variants if v is not config.stable and v.weight]
    if others:
        sharing = ", ".join(f"{v.name!r} {v.weight} %" for v in others)
        raise Conflict(f"stable shares its traffic with {sharing}; roll back or promote first")
    return config.stable


def _digest(config_id: UUID, wish: RolloutIn) -> str:
    return hashlib.sha256(config_id.bytes + wish.model_dump_json().encode()).hexdigest()


def _rollout_id(project_id: UUID, key: str | None, digest: str) -> UUID:
    """A repeat is found by its id, which is a function of the key and of what was asked."""
    return uuid4() if key is None else uuid5(_KEYED, f"{project_id}\n{digest}\n{key}")


async def _found(registry: Registry, project_id: UUID, rollout_id: UUID) -> Rollout | None:
    try:
        return await registry.rollout(project_id, rollout_id)
    except NotFound:
        return None


def _pending(rollout_id: UUID, plan: Plan, actor: str, reason: str) -> Rollout:
    now = datetime.now(UTC)
    return Rollout(
        id=rollout_id,
        project_id=plan.route.project_id,
        config_id=plan.route.config_id,
        plan=plan,
        phase=Phase.PENDING,
        phase_reason="",
        step=0,
        candidate_weight=0,
        actor=actor,
        reason=reason,
        workflow_id=workflow_id(plan.route.config_id),
        run_id=None,
        created_at=now,
        updated_at=now,
        ended_at=None,
    )


async def _stored(parts: Parts, rollout: Rollout, key: str | None, digest: str) -> Rollout:
    await parts.control.ready()  # a row that nobody will walk is worth avoiding
    try:
        return await parts.registry.create_rollout(
            rollout, idempotency_key=key, request_hash=digest
        )
    except AlreadyExists:
        # Two calls with the same key at the same moment: the other one was first.
        return await parts.registry.rollout(rollout.project_id, rollout.id)
    except AlreadyRunning as error:
        raise await _named(parts.registry, rollout, error) from error
    except Outdated:
        raise
    except Conflict as error:
        rule = "has named another request before; a new request needs a key of its own"
        raise KeyReused(Violation("Idempotency-Key", rule)) from error


async def _started(parts: Parts, rollout: Rollout) -> Rollout:
    """Start the walk, behind one that has ended already and is about to close."""
    waits = iter(_WHILE_CLOSING_SECONDS)
    while True:
        try:
            run_id = await parts.control.start_rollout(rollout)
            return replace(rollout, run_id=run_id)
        except AlreadyRunning as error:
            running = await _named(parts.registry, rollout, error)
            wait = next(waits, None) if _has_ended(running) else None
            if wait is None:
                await parts.registry.discard_rollout(rollout.project_id, rollout.id)
                raise running from error
        await asyncio.sleep(wait)


def _has_ended(running: AlreadyRunning) -> bool:
    return isinstance(running, RolloutRunning) and running.rollout.phase.is_final


async def _named(registry: Registry, rollout: Rollout, error: AlreadyRunning) -> AlreadyRunning:
    return await in_the_way(registry, rollout.project_id, rollout.config_id, error, mine=rollout.id)
