"""Merge patch, JSON patch and strategic merge patch: a document and a patch in, a document out.

None of them changes the document that it is given.
"""

from typing import Any

import jsonpatch
import jsonpointer

from sandbox.kube.documents import Document, Schema
from sandbox.kube.status import bad_request, unprocessable
from sandbox.kube.structure import field_schema, item_schema, list_keys

_DIRECTIVES = ("$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys", "$patch")


def merge_patched(document: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386): null removes, lists are replaced."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patched(result.get(name), value)
    return result


def json_patched(document: Document, operations: Any) -> Any:
    """Apply a JSON patch (RFC 6902). Raises a 422 when a `test` fails or a path is not there."""
    if not isinstance(operations, list):
        raise bad_request("a JSON patch must be a list of operations")
    try:
        return jsonpatch.JsonPatch(operations).apply(document)
    except (jsonpatch.JsonPatchTestFailed, jsonpatch.JsonPatchConflict) as failure:
        raise unprocessable(str(failure)) from failure
    except jsonpointer.JsonPointerException as failure:
        raise unprocessable(str(failure)) from failure
    except (jsonpatch.InvalidJsonPatch, TypeError, KeyError) as failure:
        raise bad_request(f"invalid JSON patch: {failure}") from failure


def strategic_patched(document: Any, patch: Any, schema: Schema) -> Any:
    """Apply a strategic merge patch: like a merge patch, but keyed lists are merged by item.

    `$patch: replace|delete`, `$deleteFromPrimitiveList` and `$retainKeys` are heeded;
    `$setElementOrder` is not: items keep their order, new ones go last.
    """
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return _without_directives(patch)
    result = dict(document) if isinstance(document, dict) else {}
    if "$retainKeys" in patch:
        result = {name: value for name, value in result.items() if name in patch["$retainKeys"]}
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            result[field] = [one for one in result.get(field) or [] if one not in value]
        elif name.startswith(_DIRECTIVES):
            continue
        elif value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
            result.pop(name, None)
        else:
            result[name] = _strategic_field(result.get(name), value, field_schema(schema, name))
    return result


def _strategic_field(before: Any, patch: Any, schema: Schema) -> Any:
    if not isinstance(patch, list):
        return strategic_patched(before, patch, schema)
    if keys := list_keys(schema):
        # A merge key is one field; where items are told apart by several it is the first.
        return _keyed_list(before or [], patch, keys[0], item_schema(schema))
    if schema.get("x-kubernetes-list-type") == "set":
        return [*(before or []), *(one for one in patch if one not in (before or []))]
    return patch


def _keyed_list(before: list[Any], patch: list[Any], key: str, items: Schema) -> list[Any]:
    if not all(isinstance(one, dict) for one in patch):
        raise bad_request(f"the items of a list with the merge key {key} must be objects")
    if any(one.get("$patch") == "replace" for one in patch):
        return [_without_directives(one) for one in patch if set(one) != {"$patch"}]
    result = list(before)
    for one in patch:
        if key not in one:
            raise bad_request(f"map: {one} does not contain declared merge key: {key}")
        same = next((at for at, item in enumerate(result) if item.get(key) == one[key]), None)
        if one.get("$patch") == "delete":
            result = [item for index, item in enumerate(result) if index != same]
        elif same is None:
            result.append(strategic_patched({}, one, items))
        else:
            result[same] = strategic_patched(result[same], one, items)
    return result


def _without_directives(value: Document) -> Document:
    return {name: one for name, one in value.items() if not name.startswith("$")}
