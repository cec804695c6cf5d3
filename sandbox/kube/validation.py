"""Whether a value fits a structural schema: the part of OpenAPI v3 that definitions use.

Rules in CEL (x-kubernetes-validations) are not evaluated; the definitions here say what they need
with enum, required and oneOf instead.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from sandbox.kube.documents import Schema
from sandbox.kube.status import Cause, CauseReason
from sandbox.kube.structure import field_schema, item_schema, list_keys

_Rule = Callable[[Any, Schema, str], Iterator[Cause]]


def causes_against(value: Any, schema: Schema, at: str = "") -> Iterator[Cause]:
    """Yield what is wrong with a value, the outermost first; nothing when it fits."""
    if value is None and schema.get("nullable"):
        return
    wrong_type = _type_cause(value, schema, at)
    if wrong_type is not None:
        yield wrong_type
        return
    yield from _enum_causes(value, schema, at)
    if isinstance(value, dict):
        yield from _object_causes(value, schema, at)
    elif isinstance(value, list):
        yield from _list_causes(value, schema, at)
    elif isinstance(value, str):
        yield from _text_causes(value, schema, at)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number_causes(value, schema, at)
    yield from _combination_causes(value, schema, at)


def fits(value: Any, schema: Schema) -> bool:
    return next(causes_against(value, schema), None) is None


def _type_cause(value: Any, schema: Schema, at: str) -> Cause | None:
    found = _type_name(value)
    if schema.get("x-kubernetes-int-or-string"):
        return None if found in {"integer", "string"} else _mistyped(found, "integer,string", at)
    wanted = schema.get("type")
    if wanted is None or found == wanted or (wanted == "number" and found == "integer"):
        return None
    return _mistyped(found, wanted, at)


_TYPE_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    str: "string",
    list: "array",
    dict: "object",
}


def _type_name(value: Any) -> str:
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    return _TYPE_NAMES[type(value)]


def _mistyped(found: str, wanted: str, at: str) -> Cause:
    return Cause(
        reason=CauseReason.TYPE_INVALID,
        message=f'Invalid value: "{found}": {at} in body must be of type {wanted}: "{found}"',
        field=at or "<nil>",
    )


def _enum_causes(value: Any, schema: Schema, at: str) -> Iterator[Cause]:
    allowed = schema.get("enum")
    if allowed is not None and value not in allowed:
        listed = ", ".join(_shown(one) for one in allowed)
        message = f"Unsupported value: {_shown(value)}: supported values: {listed}"
        yield Cause(reason=CauseReason.NOT_SUPPORTED, message=message, field=at)


def _object_causes(value: dict[str, Any], schema: Schema, at: str) -> Iterator[Cause]:
    for name in schema.get("required", ()):
        if name not in value:
            field = _joined(at, name)
            yield Cause(reason=CauseReason.REQUIRED, message="Required value", field=field)
    size = len(value)
    if size < schema.get("minProperties", 0):
        yield _invalid(size, at, f"should have at least {schema['minProperties']} properties")
    if size > schema.get("maxProperties", size):
        most = schema["maxProperties"]
        message = f"Too many: {size}: must have at most {most} items"
        yield Cause(reason=CauseReason.TOO_MANY, message=message, field=at)
    for name, child in value.items():
        yield from causes_against(child, field_schema(schema, name), _joined(at, name))


def _list_causes(value: list[Any], schema: Schema, at: str) -> Iterator[Cause]:
    size = len(value)
    if size < schema.get("minItems", 0):
        yield _invalid(size, at, f"should have at least {schema['minItems']} items")
    if size > schema.get("maxItems", size):
        message = f"Too many: {size}: must have at most {schema['maxItems']} items"
        yield Cause(reason=CauseReason.TOO_MANY, message=message, field=at)
    items = item_schema(schema)
    for index, child in enumerate(value):
        yield from causes_against(child, items, f"{at}[{index}]")
    yield from repeated_items(value, schema, at)


def repeated_items(value: list[Any], schema: Schema, at: str) -> Iterator[Cause]:
    """Yield the items of a keyed list or set that say again what an earlier one said."""
    keys, is_set = list_keys(schema), schema.get("x-kubernetes-list-type") == "set"
    if not keys and not is_set:
        return
    seen: set[str] = set()
    for index, item in enumerate(value):
        name = {key: item.get(key) for key in keys} if keys and isinstance(item, dict) else item
        text = json.dumps(name, sort_keys=True)
        if text in seen:
            message = f"Duplicate value: {_shown(name)}"
            yield Cause(reason=CauseReason.DUPLICATE, message=message, field=f"{at}[{index}]")
        seen.add(text)


def _text_causes(value: str, schema: Schema, at: str) -> Iterator[Cause]:
    size = len(value)
    if size < schema.get("minLength", 0):
        yield _invalid(value, at, f"should be at least {schema['minLength']} chars long")
    if size > schema.get("maxLength", size):
        message = f"Too long: may not be more than {schema['maxLength']} bytes"
        yield Cause(reason=CauseReason.TOO_LONG, message=message, field=at)
    pattern = schema.get("pattern")
    if pattern is not None and not _compiled(pattern).search(value):
        yield _invalid(value, at, f"should match '{pattern}'")


def _number_causes(value: float, schema: Schema, at: str) -> Iterator[Cause]:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and value < least:
        yield _invalid(value, at, f"should be greater than or equal to {least}")
    if most is not None and value > most:
        yield _invalid(value, at, f"should be less than or equal to {most}")
    limits = {"int32": 2**31, "int64": 2**63}
    bound = limits.get(schema.get("format", ""))
    if bound is not None and not -bound <= value < bound:
        yield _invalid(value, at, f"should be of format {schema['format']}")


def _combination_causes(value: Any, schema: Schema, at: str) -> Iterator[Cause]:
    for one in schema.get("allOf", ()):
        yield from causes_against(value, one, at)
    choices = schema.get("anyOf")
    if choices and not any(fits(value, one) for one in choices):
        yield _invalid(value, at, "must validate at least one schema (anyOf)")
    choices = schema.get("oneOf")
    if choices and sum(fits(value, one) for one in choices) != 1:
        yield _invalid(value, at, "must validate one and only one schema (oneOf)")
    refused = schema.get("not")
    if refused is not None and fits(value, refused):
        yield _invalid(value, at, "must not validate the schema (not)")


def _invalid(value: Any, at: str, rule: str) -> Cause:
    message = f"Invalid value: {_shown(value)}: {at} in body {rule}"
    return Cause(reason=CauseReason.INVALID, message=message, field=at)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _joined(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
