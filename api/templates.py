"""Templates of gates: tried when they are written, filled in when a rollout uses them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from api.errors import broken
from api.parts import Parts
from api.problems import MOST_VIOLATIONS, broken_rules
from api.schemas.gates import AnyGateBody, gates_of
from domain.costs import priced
from domain.errors import InvalidSpec, NotFound, Violation
from domain.gate_templates.filling import filled, pinned, tried
from domain.gate_templates.pins import TemplatePin, TemplateScope
from domain.gate_templates.port import GateTemplates
from domain.gate_templates.template import GateDocument, GateTemplate, require_template
from domain.gate_templates.uses import TemplateUse
from domain.plan import Policies
from domain.reading_gates import AnyGate, web_gate_violations
from domain.registry import TrafficConfig
from domain.strategies.gate_rules import gate_violations
from domain.strategies.rules import default_policy_violations

_GATE: TypeAdapter[AnyGateBody] = TypeAdapter(AnyGateBody)
_OF_A_GATE = re.compile(r"gates\.(?P<index>[0-9]+)(?P<rest>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """The gates of all templates that a rollout names, and where the wish has each from."""

    gates: tuple[AnyGate, ...] = ()
    places: tuple[str, ...] = ()
    pins: tuple[TemplatePin, ...] = ()

    @contextmanager
    def placing(self, count: int, own: str = "gates") -> Iterator[None]:
        """Have the rules that gates break told at the fields of the wish as it was written.

        In the list `gates` these stand behind so many that were written in the field `own`.
        """
        places = (*(f"{own}.{i}" for i in range(count)), *self.places)
        try:
            yield
        except InvalidSpec as error:
            moved = (_moved(one, own, places) for one in error.violations)
            raise type(error)(*moved) from error


def require_sound(template: GateTemplate) -> None:
    """Raise InvalidSpec with the rules that a template breaks, tried with what it has itself."""
    require_template(template.name, template.content)
    if violations := tuple(gate_violations(_read(tried(template.content), "gates"))):
        raise InvalidSpec(*violations)


async def filled_defaults(templates: GateTemplates, config: TrafficConfig) -> Filled:
    """The gates of a config's default templates, as of now. Raises InvalidSpec as `fill` does."""
    uses = config.default_gate_templates
    return await fill(templates, config.project_id, uses, "default_gate_templates")


async def require_defaults(parts: Parts, config: TrafficConfig) -> None:
    """Raise InvalidSpec with the rules that a config's default gates and policies break."""
    made = await filled_defaults(parts.templates, config)
    own = config.default_gates or ()
    gates, policies = (*own, *made.gates), config.default_policies or Policies()
    with made.placing(len(own), own="default_gates"):
        if violations := (*gate_violations(gates), *default_policy_violations(policies)):
            raise InvalidSpec(*violations)
        answerable(parts, config, gates)


def answerable(
    parts: Parts, config: TrafficConfig, gates: Sequence[AnyGate]
) -> tuple[AnyGate, ...]:
    """The gates with all that their questions need of this installation; raises InvalidSpec."""
    if violations := tuple(web_gate_violations(gates, parts.hooks_allowed)):
        raise InvalidSpec(*violations)
    return priced(gates, config.inference_service_name, parts.prices)


async def fill(
    templates: GateTemplates, project_id: UUID, uses: Sequence[TemplateUse], field: str
) -> Filled:
    """The gates of the templates that the field names, in that order.

    Raises InvalidSpec with every rule that one of them breaks.
    """
    made, violations = Filled(), list[Violation]()
    for i, use in enumerate(uses):
        at = f"{field}.{i}"
        try:
            template = await _chosen(templates, project_id, use, at)
            gates = _read(filled(template.content, use.given, at), f"{at}.gates")
        except InvalidSpec as error:
            violations.extend(error.violations)
            continue
        made = Filled(
            gates=(*made.gates, *gates),
            places=(*made.places, *(f"{at}.gates.{j}" for j in range(len(gates)))),
            pins=(*made.pins, pinned(template, use.given)),
        )
    if violations:
        raise InvalidSpec(*violations[:MOST_VIOLATIONS])
    return made


async def _chosen(
    templates: GateTemplates, project_id: UUID, use: TemplateUse, at: str
) -> GateTemplate:
    """The version that is meant. A retired name of the project hides no global one silently."""
    found = await _latest(templates, project_id, use)
    if found is None:
        scope = "" if use.scope is None else f"{use.scope} "
        raise broken(f"{at}.name", f"{use.name!r} is no {scope}gate template that there is")
    if found.retired_at is not None:
        rule = f"{use.name!r}, the {found.scope} template, is retired"
        if use.scope is None and found.project_id is not None:
            rule += "; a global one of that name is meant with scope global only"
        raise broken(f"{at}.name", rule)
    if use.version is None or use.version == found.version:
        return found
    try:
        return await templates.template(found.project_id, use.name, use.version)
    except NotFound as error:
        raise broken(f"{at}.version", str(error)) from error


async def _latest(
    templates: GateTemplates, project_id: UUID, use: TemplateUse
) -> GateTemplate | None:
    owners: Mapping[TemplateScope | None, tuple[UUID | None, ...]] = {
        None: (project_id, None),
        TemplateScope.PROJECT: (project_id,),
        TemplateScope.GLOBAL: (None,),
    }
    for owner in owners[use.scope]:
        try:
            return await templates.template(owner, use.name)
        except NotFound:
            continue
    return None


def _read(gates: Sequence[GateDocument], at: str) -> tuple[AnyGate, ...]:
    """The documents as the gates of a spec. Raises InvalidSpec with the rules of the fields."""
    bodies: list[AnyGateBody] = []
    violations: list[Violation] = []
    for i, gate in enumerate(gates):
        try:
            bodies.append(_GATE.validate_python(gate))
        except ValidationError as error:
            violations.extend(_violations(error, f"{at}.{i}"))
    if violations:
        raise InvalidSpec(*violations[:MOST_VIOLATIONS])
    return gates_of(bodies) or ()


def _violations(error: ValidationError, at: str) -> Iterator[Violation]:
    located = [{**one, "loc": ("body", at, *one["loc"])} for one in error.errors()]
    for found in broken_rules(located):
        yield Violation(found.field, found.rule)


def _moved(violation: Violation, own: str, places: Sequence[str]) -> Violation:
    """A violation of the gates, or of one of them where that one was written."""
    if violation.field == "gates":
        return Violation(own, violation.rule)
    gate = _OF_A_GATE.fullmatch(violation.field)
    if gate is None or int(gate["index"]) >= len(places):
        return violation
    return Violation(places[int(gate["index"])] + gate["rest"], violation.rule)
