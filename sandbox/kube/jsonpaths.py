"""The JSONPath of printer columns: fields, indexes, slices, `[*]` and `[?(@.a=="b")]`."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

_Step = Callable[[Any], Iterator[Any]]

_TOKENS = re.compile(
    r"""\.(?P<field>[^.\[\]]+)
    | \[\s*(?:'(?P<quoted>[^']*)'|"(?P<double>[^"]*)")\s*\]
    | \[(?P<index>-?\d+)\]
    | \[(?P<start>-?\d*):(?P<end>-?\d*)\]
    | \[(?P<all>\*)\]
    | \[\?\(\s*@\.(?P<key>[^=\s]+)\s*==\s*["'](?P<value>[^"']*)["']\s*\)\]""",
    re.VERBOSE,
)


def found_at(document: Any, path: str) -> list[Any]:
    """Return what a path leads to; nothing where it leads nowhere or is not understood."""
    reached = [document]
    for step in _steps(path):
        reached = [after for before in reached for after in step(before)]
    return reached


@lru_cache(maxsize=128)
def _steps(path: str) -> tuple[_Step, ...]:
    steps, at = [], 0
    while at < len(path):
        token = _TOKENS.match(path, at)
        if token is None:
            return (_nowhere,)
        steps.append(_step(token))
        at = token.end()
    return tuple(steps)


def _step(token: re.Match[str]) -> _Step:
    groups = token.groupdict()
    name = groups["field"] or groups["quoted"] or groups["double"]
    if name is not None:
        return lambda value: iter([value[name]] if _has(value, name) else [])
    if groups["key"] is not None:
        key, wanted = groups["key"], groups["value"]
        return lambda value: (one for one in _items(value) if _has(one, key) and one[key] == wanted)
    if groups["index"] is not None:
        start = int(groups["index"])
        end = start + 1 or None
        return lambda value: iter(_items(value)[start:end])
    bounds = slice(_bound(groups["start"]), _bound(groups["end"]))
    return lambda value: iter(_items(value)[bounds])


def _bound(text: str | None) -> int | None:
    return int(text) if text else None


def _nowhere(_: Any) -> Iterator[Any]:
    return iter(())


def _has(value: Any, name: str) -> bool:
    return isinstance(value, dict) and name in value


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
