"""Templates of gates, as people write them, as they are shown, and as a rollout names them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID, uuid4

from pydantic import Field, JsonValue, PlainValidator, WithJsonSchema

from api.schemas.fields import Incoming, Label, Outgoing, Prose, patterned
from api.schemas.reading_gates import without_secrets
from domain.gate_templates.arguments import (
    LONGEST_NAME,
    LONGEST_TEXT,
    MOST_ARGUMENTS,
    NAME,
    Argument,
    ArgumentType,
    Value,
)
from domain.gate_templates.pins import TemplatePin, TemplateScope
from domain.gate_templates.template import GateTemplate, TemplateContent
from domain.gate_templates.uses import TemplateUse
from domain.names import LABEL, LABEL_LENGTH
from domain.strategies.gate_rules import MOST_GATES

MOST_TEMPLATES = 20
LAST_VERSION = 2**31 - 1


def _value(given: object) -> Value:
    """Take what JSON has but lists, objects and null; which of it fits is the domain's to say."""
    if isinstance(given, str | bool | int | float):
        return given
    raise ValueError("must be a string, a number, true or false")


_VALUE_SCHEMA = {
    "anyOf": [
        {"type": "string", "maxLength": LONGEST_TEXT},
        {"type": "boolean"},
        {"type": "number"},
    ]
}
ArgumentValue = Annotated[Value, PlainValidator(_value), WithJsonSchema(_VALUE_SCHEMA)]
# The rules of names are the domain's: here they are only told.
ArgumentName = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_NAME, json_schema_extra=patterned(f"^{NAME.pattern}$")),
]
TemplateName = Annotated[
    Label, Field(json_schema_extra=patterned(f"^{LABEL.pattern}$") | {"maxLength": LABEL_LENGTH})
]


class ArgumentBody(Incoming):
    """What a template asks for, and what stands as `{{args.name}}` in its gates."""

    name: ArgumentName
    type: ArgumentType
    default: ArgumentValue | None = Field(
        default=None, description="Left out: the argument must be given."
    )
    example: ArgumentValue | None = Field(
        default=None,
        description="What the template is tried with where there is no default; needed there.",
    )
    description: Prose = ""

    def to_domain(self) -> Argument:
        return Argument(
            name=self.name,
            type=self.type,
            default=self.default,
            example=self.example,
            description=self.description,
        )

    @classmethod
    def from_domain(cls, argument: Argument) -> Self:
        return cls(
            name=argument.name,
            type=argument.type,
            default=argument.default,
            example=argument.example,
            description=argument.description,
        )


class GateTemplateIn(Incoming):
    """A template: its first version, or the next one of its name."""

    name: TemplateName
    description: Prose = ""
    arguments: list[ArgumentBody] = Field(default_factory=list, max_length=MOST_ARGUMENTS)
    gates: list[dict[str, JsonValue]] = Field(
        min_length=1,
        max_length=MOST_GATES,
        description="Gates as in a rollout; any value may hold placeholders.",
    )

    def to_domain(self, project_id: UUID | None, now: datetime) -> GateTemplate:
        return GateTemplate(
            id=uuid4(),
            project_id=project_id,
            name=self.name,
            version=1,
            content=TemplateContent(
                description=self.description,
                arguments=tuple(argument.to_domain() for argument in self.arguments),
                gates=tuple(self.gates),
            ),
            created_at=now,
        )


class GateTemplatePatch(Incoming):
    retired: bool = Field(
        description="`true`: new rollouts cannot use it; `false`: they can again."
    )


class GateTemplateSummary(Outgoing):
    name: str
    scope: TemplateScope
    version: int
    description: str
    created_at: datetime = Field(description="When this version was written.")
    retired_at: datetime | None = Field(description="Since when new rollouts cannot use the name.")

    @classmethod
    def from_domain(cls, template: GateTemplate) -> Self:
        return cls(
            name=template.name,
            scope=template.scope,
            version=template.version,
            description=template.content.description,
            created_at=template.created_at,
            retired_at=template.retired_at,
        )


class GateTemplateOut(GateTemplateSummary):
    """One version in full."""

    arguments: Sequence[ArgumentBody]
    gates: Sequence[dict[str, JsonValue]] = Field(
        description="As they were written, without the values of headers."
    )

    @classmethod
    def in_full(cls, template: GateTemplate) -> Self:
        content = template.content
        return cls(
            **dict(GateTemplateSummary.from_domain(template)),
            arguments=[ArgumentBody.from_domain(argument) for argument in content.arguments],
            gates=[without_secrets(gate) for gate in content.gates],
        )


class GlobalGateTemplateSummary(GateTemplateSummary):
    """One that belongs to no project. Links know by the class where it is looked up."""


class GlobalGateTemplateOut(GateTemplateOut):
    """One version in full of a template that belongs to no project."""


class TemplateUseBody(Incoming):
    """A template of whose gates all hold, filled in."""

    name: Label
    version: Annotated[int, Field(strict=True, ge=1, le=LAST_VERSION)] | None = Field(
        default=None, description="Left out: the latest."
    )
    scope: TemplateScope | None = Field(
        default=None, description="Left out: the project's of that name, else the global one."
    )
    arguments: dict[ArgumentName, ArgumentValue] = Field(
        default_factory=dict, max_length=MOST_ARGUMENTS
    )

    def to_domain(self) -> TemplateUse:
        return TemplateUse(
            name=self.name,
            version=self.version,
            scope=self.scope,
            arguments=tuple(self.arguments.items()),
        )

    @classmethod
    def from_domain(cls, use: TemplateUse) -> Self:
        return cls(
            name=use.name, version=use.version, scope=use.scope, arguments=dict(use.arguments)
        )


def uses_of(bodies: Sequence[TemplateUseBody]) -> tuple[TemplateUse, ...]:
    return tuple(body.to_domain() for body in bodies)


class TemplatePinOut(Outgoing):
    """What a rollout started with, whatever the template says by now."""

    name: str
    scope: TemplateScope
    version: int
    arguments: dict[str, ArgumentValue] = Field(description="Defaults included.")

    @classmethod
    def from_domain(cls, pin: TemplatePin) -> Self:
        arguments: dict[str, Value] = {one.name: one.value for one in pin.arguments}
        return cls(name=pin.name, scope=pin.scope, version=pin.version, arguments=arguments)
