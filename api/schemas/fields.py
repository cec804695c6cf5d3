"""The kinds of fields that several schemas share, and how each is held to its rule."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_FORMAT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_OBJECT = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
LONGEST_SECONDS = 366 * 24 * 3600


def printable(value: str) -> str:
    if _CONTROL.search(value) or value != value.strip():
        raise ValueError("must not hold control characters, nor begin or end with a space")
    return value


def readable(value: str) -> str:
    if _CONTROL_BUT_LINES.search(value):
        raise ValueError("must not hold control characters other than line breaks and tabs")
    return value


def _uri(value: str) -> str:
    if not _URI.fullmatch(value) or _CONTROL.search(value):
        raise ValueError("must be a URI with a scheme, such as s3://bucket/model")
    return value


def _model_format(value: str) -> str:
    if not _FORMAT.fullmatch(value):
        raise ValueError("must be letters, digits, '.', '_' and '-', such as huggingface")
    return value


def _object_name(value: str) -> str:
    if not _OBJECT.fullmatch(value):
        raise ValueError("must be the name of a Kubernetes object (RFC 1123 subdomain)")
    return value


def _key(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("must be printable ASCII")
    return value


def patterned(pattern: str) -> dict[str, JsonValue]:
    """The rule for the document; it is checked by a function whose message is for people."""
    return {"pattern": pattern}


def whole(least: int, most: int) -> dict[str, JsonValue]:
    """The schema of a whole number."""
    return {"type": "integer", "minimum": least, "maximum": most}


_ONE_LINE = patterned(r"^[^\x00-\x1f\x7f\s]([^\x00-\x1f\x7f]*[^\x00-\x1f\x7f\s])?$")
Key = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra=patterned(r"^[ -~]+$")),
    AfterValidator(_key),
]
Name = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra=_ONE_LINE),
    AfterValidator(printable),
]
Label = Annotated[
    str,
    Field(min_length=1, max_length=253, json_schema_extra=_ONE_LINE),
    AfterValidator(printable),
]
Prose = Annotated[
    str,
    Field(max_length=2000, json_schema_extra=patterned(r"^[^\x00-\x08\x0b-\x1f\x7f]*$")),
    AfterValidator(readable),
]
Uri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        json_schema_extra=patterned(r"^[A-Za-z][A-Za-z0-9+.-]*://[^\s\x00-\x1f\x7f]+$"),
    ),
    AfterValidator(_uri),
]
ModelFormat = Annotated[
    str,
    Field(min_length=1, max_length=63, json_schema_extra=patterned(f"^{_FORMAT.pattern}$")),
    AfterValidator(_model_format),
]
ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253, json_schema_extra=patterned(f"^{_OBJECT.pattern}$")),
    AfterValidator(_object_name),
]
Seconds = Annotated[float, Field(ge=0, le=LONGEST_SECONDS, allow_inf_nan=False)]
Fraction = Annotated[float, Field(allow_inf_nan=False)]


def _refuse(_: object) -> None:
    raise ValueError("cannot be changed: it is part of what this stands for; register a new one")


# A field of a PATCH that is refused with a reason. It is known to us and not part of the document.
Immutable = Annotated[None, BeforeValidator(_refuse)]


def without_immutable(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Leave the fields that are always refused out of a schema."""
    for name, field in model.model_fields.items():
        if any(getattr(mark, "func", None) is _refuse for mark in field.metadata):
            schema["properties"].pop(name)


class Incoming(BaseModel):
    """A request body: a field that we do not know is a mistake, not a wish to be ignored."""

    model_config = ConfigDict(extra="forbid")


class Outgoing(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null", protected_namespaces=())
