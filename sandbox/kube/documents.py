"""JSON documents as the API carries them: their bytes, time stamps and versions.

Whether a document is a valid object is decided in `validation` and `metadata`.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]
Schema = Mapping[str, Any]

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_SORTING = json.JSONEncoder(sort_keys=True)


def encode(document: Any) -> bytes:
    return _ENCODER.encode(document).encode()


def decode(body: bytes) -> Any:
    """Parse JSON. Raises ValueError, also for NaN and Infinity, which JSON has not."""
    return json.loads(body, parse_constant=_refuse_constant)


def copied(document: Any) -> Any:
    """Return an independent copy; a round trip is faster than `copy.deepcopy` here."""
    return decode(encode(document))


def is_equal(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON; to Python alone, `1` and `true` would be."""
    return bool(one == other) and _SORTING.encode(one) == _SORTING.encode(other)


def now() -> str:
    """Return the present second as RFC 3339, the only form of time that objects carry."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def section(document: Document, name: str) -> Document:
    """Return the object stored under a name, or an empty one when it is absent or null."""
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
