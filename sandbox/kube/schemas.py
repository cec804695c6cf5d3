"""What a structural schema does to an object before it is looked at: defaults in, nulls out.

Unknown fields always stay, whatever the schema says: the definitions here are small extracts.
"""

from typing import Any

from sandbox.kube.documents import Schema, copied
from sandbox.kube.structure import field_schema, item_schema


def completed(value: Any, schema: Schema) -> Any:
    """Return the value with the schema's defaults filled in, at every depth that exists."""
    if isinstance(value, list):
        items = item_schema(schema)
        return [completed(one, items) for one in value]
    if not isinstance(value, dict):
        return value
    filled = {name: completed(one, field_schema(schema, name)) for name, one in value.items()}
    for name, declared in schema.get("properties", {}).items():
        if name not in filled and "default" in declared:
            filled[name] = completed(copied(declared["default"]), declared)
    return filled


def without_nulls(value: Any, schema: Schema) -> Any:
    """Return the value without the null fields that the schema declares but does not allow."""
    if isinstance(value, list):
        items = item_schema(schema)
        return [without_nulls(one, items) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: without_nulls(one, field_schema(schema, name))
        for name, one in value.items()
        if one is not None or _may_be_null(field_schema(schema, name))
    }


def _may_be_null(schema: Schema) -> bool:
    return "type" not in schema or bool(schema.get("nullable"))
