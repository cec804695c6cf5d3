"""Putting values into PromQL that somebody else wrote, so that they mean themselves and no more.

A query may hold placeholders such as `{{candidate.workload}}`. Inside a string literal a value is
escaped as the literal's quotes ask for, and in the pattern of `=~` or `!~` for the regular
expression as well. Outside of strings, where a value could change what is asked, only numbers and
durations may stand. Comments are left as they are.
"""

import json
import math
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass

Value = str | float | int | bool

_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"
_PLACEHOLDER = re.compile(r"\{\{\s*(" + _NAME + r")\s*\}\}")
# A string, a comment, or anything else up to the next of these; in strings `\` hides a quote.
_PART = re.compile(
    r'(?P<string>"(?:[^"\\\n]|\\.)*"|'
    r"'(?:[^'\\\n]|\\.)*'|"
    r"`[^`]*`)"
    r"|(?P<comment>\#[^\r\n]*)|(?P<open>[\"'`])|(?P<code>[^\"'`#]+)"
)
_MATCHES_PATTERN = re.compile(r"[=!]~\s*\Z")
_DURATION = re.compile(r"(?:[0-9]+(?:ms|[smhdwy]))+")
_REGEX_MEANING = re.compile(r"[\\.+*?()|\[\]{}^$]")


class QueryTextError(ValueError):
    """A query that cannot be filled in; the message is a rule that it breaks."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a query; `quote` is that of a string, "" for code and "#" for a comment."""

    text: str
    quote: str
    is_pattern: bool = False


def placeholders(query: str) -> tuple[str, ...]:
    """The names that a query asks for, each once. Raises QueryTextError for an open string."""
    parts = (part for part in _parts(query) if part.quote != "#")
    found = (match[1] for part in parts for match in _PLACEHOLDER.finditer(part.text))
    return tuple(dict.fromkeys(found))


def filled_in(query: str, values: Mapping[str, Value], *, later: Container[str] = ()) -> str:
    """The query with every placeholder's value, but for those that are filled in later.

    Raises QueryTextError naming what is wrong.
    """

    def written(part: _Part) -> str:
        def one(match: re.Match[str]) -> str:
            return match[0] if match[1] in later else _written(match, values, part)

        return part.text if part.quote == "#" else _PLACEHOLDER.sub(one, part.text)

    return "".join(map(written, _parts(query)))


def _parts(query: str) -> list[_Part]:
    parts: list[_Part] = []
    code = ""  # since the last string: a comment in between means nothing
    for match in _PART.finditer(query):
        text = match[0]
        if match["open"]:
            raise QueryTextError(f"has a string that begins at character {match.start()} unclosed")
        if match["string"]:
            parts.append(_Part(text, text[0], bool(_MATCHES_PATTERN.search(code))))
            code = ""
        else:
            parts.append(_Part(text, "#" if match["comment"] else ""))
            code += match["code"] or ""
    return parts


def _written(match: re.Match[str], values: Mapping[str, Value], part: _Part) -> str:
    name = match[1]
    if name not in values:
        known = ", ".join(sorted(values)) or "none"
        raise QueryTextError(f"names {{{{{name}}}}}, which is not known here; known: {known}")
    value = values[name]
    if not part.quote:
        return _in_code(name, value)
    _require_unescaped(match, part)
    return _in_string(name, _text(value), part)


def _require_unescaped(match: re.Match[str], part: _Part) -> None:
    """A backslash before a placeholder would take the escape of its value's first character."""
    before = part.text[: match.start()]
    escapes = len(before) - len(before.rstrip("\\"))
    in_literal, in_pattern = (0, escapes) if part.quote == "`" else (escapes % 2, escapes // 2)
    if in_literal or (part.is_pattern and in_pattern % 2):
        raise QueryTextError(f"has a backslash before {match[0]}, which would change its value")


def _in_string(name: str, text: str, part: _Part) -> str:
    if part.is_pattern:
        text = _REGEX_MEANING.sub(r"\\\g<0>", text)
    if part.quote == "`":
        if "`" in text:
            raise QueryTextError(f"puts {{{{{name}}}}}, which has a backtick, between backticks")
        return text
    # JSON's escapes are among PromQL's; the rest of Unicode stays.
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    return escaped if part.quote == '"' else escaped.replace('\\"', '"').replace("'", "\\'")


def _in_code(name: str, value: Value) -> str:
    match value:
        case bool():
            pass
        case int() | float() if math.isfinite(value):
            return str(value)
        case str() if _DURATION.fullmatch(value):
            return value
    raise QueryTextError(
        f"has {{{{{name}}}}} outside of quotes, where only a number or a duration may stand"
    )


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
