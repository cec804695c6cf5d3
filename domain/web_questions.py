"""Questions to a URL that people named: what may be asked, and what is sent."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote

from domain.allowed_hosts import AllowedHosts
from domain.errors import Violation
from domain.hooks import LONGEST_TIMEOUT, SHORTEST_TIMEOUT, url_rules
from domain.json_path import PathError, parse_path
from domain.promql_text import Value

METHODS = ("GET", "POST")
MOST_HEADERS, LONGEST_HEADER = 20, 4096
LONGEST_BODY = 64 * 1024
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*\}\}")
# Up to the path: whom a question goes to is never filled in.
_BEFORE_PATH = re.compile(r"[^/?#]*//[^/?#]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


@dataclass(frozen=True, slots=True, kw_only=True)
class WebQuestion:
    """A URL whose JSON answer holds numbers at `json_path`.

    `body` is JSON, or empty. The placeholders in it and in the URL, behind its host, are filled in
    when it is asked. Values of headers may be secrets: they are never shown.
    """

    url: str
    json_path: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    timeout: timedelta = timedelta(seconds=10)
    kind: Literal["web"] = "web"


class WebTextError(ValueError):
    """A question that cannot be filled in; the message is a rule that it breaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebCall:
    """What is sent, with everything filled in."""

    url: str
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout: timedelta


def web_call(question: WebQuestion, values: Mapping[str, Value]) -> WebCall:
    """The question with its placeholders' values. Raises WebTextError, naming what is wrong."""
    body = question.body
    if body:
        body = json.dumps(_filled_in(json.loads(body), values), separators=(",", ":"))
    return WebCall(
        url=_filled_url(question.url, values),
        method=question.method,
        headers=question.headers,
        body=body.encode(),
        timeout=question.timeout,
    )


def host_violations(at: str, question: WebQuestion, allowed: AllowedHosts) -> Iterator[Violation]:
    """Whether the question may go where it leads. Its URL, of which this is not sure, is not told.

    Of placeholders nothing is known here but that they stand behind the host.
    """
    if not allowed.entries:
        yield Violation(at, "is switched off: TIDEGATE_HOOKS_ALLOWED_HOSTS names no host")
        return
    for rule in url_rules(_PLACEHOLDER.sub("x", question.url), allowed):
        yield Violation(f"{at}.url", rule)


def web_violations(
    at: str, question: WebQuestion, values: Mapping[str, Value]
) -> Iterator[Violation]:
    """Every other rule that it breaks; `values` has a sample of each placeholder's."""
    if question.method not in METHODS:
        yield Violation(f"{at}.method", f"must be {' or '.join(METHODS)}")
    yield from _body_violations(f"{at}.body", question, values)
    yield from _header_violations(f"{at}.headers", question.headers)
    try:
        _filled_url(question.url, values)
    except WebTextError as error:
        yield Violation(f"{at}.url", str(error))
    try:
        parse_path(question.json_path)
    except PathError as error:
        yield Violation(f"{at}.json_path", str(error))
    if not SHORTEST_TIMEOUT <= question.timeout <= LONGEST_TIMEOUT:
        low, high = SHORTEST_TIMEOUT.total_seconds(), LONGEST_TIMEOUT.total_seconds()
        yield Violation(f"{at}.timeout_seconds", f"must lie in {low:g}..{high:g}")


def _body_violations(
    at: str, question: WebQuestion, values: Mapping[str, Value]
) -> Iterator[Violation]:
    if not question.body:
        return
    if question.method != "POST":
        yield Violation(at, "belongs to the method POST")
    if len(question.body.encode()) > LONGEST_BODY:
        yield Violation(at, f"must have at most {LONGEST_BODY} bytes")
        return
    try:
        _filled_in(json.loads(question.body), values)
    except WebTextError as error:
        yield Violation(at, str(error))
    except (ValueError, RecursionError):
        yield Violation(at, "must be JSON")


def _header_violations(at: str, headers: Sequence[tuple[str, str]]) -> Iterator[Violation]:
    if len(headers) > MOST_HEADERS:
        yield Violation(at, f"must be at most {MOST_HEADERS}")
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS:
            yield Violation(f"{at}.{name}", "is no header that may be set")
        elif not (value.isascii() and value.isprintable() and len(value) <= LONGEST_HEADER):
            rule = f"must be printable ASCII, at most {LONGEST_HEADER} characters"
            yield Violation(f"{at}.{name}", rule)
        elif value != value.strip():
            yield Violation(f"{at}.{name}", "must not begin or end with a space")


def _filled_url(url: str, values: Mapping[str, Value]) -> str:
    host = _BEFORE_PATH.match(url)
    cut = host.end() if host else len(url)
    if _PLACEHOLDER.search(url[:cut]):
        raise WebTextError("must not have a placeholder before its path: its host stays the same")
    path = _PLACEHOLDER.sub(lambda match: quote(_value(match[1], values), safe=""), url[cut:])
    return url[:cut] + path


def _filled_in(document: Any, values: Mapping[str, Value]) -> Any:
    """A JSON document in whose texts the placeholders are filled in; names stay as they are."""
    match document:
        case str():
            return _PLACEHOLDER.sub(lambda match: _value(match[1], values), document)
        case list():
            return [_filled_in(one, values) for one in document]
        case dict():
            return {name: _filled_in(one, values) for name, one in document.items()}
        case _:
            return document


def _value(name: str, values: Mapping[str, Value]) -> str:
    if name not in values:
        known = ", ".join(sorted(values))
        raise WebTextError(f"names {{{{{name}}}}}, which is not known here; known: {known}")
    return str(values[name])
