"""What a route can carry, which its protocol decides: refused before anything is deployed.

The AI gateway's routes have no mirror, and only these carry OpenAI's protocol; the predictive ones
go through plain routes of the Gateway API, which have everything (docs of both, and their CRDs).
"""

import re
from collections.abc import Iterable, Iterator

from domain.errors import Violation
from domain.traffic import Extras, HeaderMatch, MatchKind
from domain.workloads import Protocol

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+")
_TAKEN = frozenset({"x-ai-eg-model", "host"})
# A route has 16 rules, of which one is the split; at the AI gateway another one answers 404.
MOST_HEADER_ROUTES = {Protocol.OPENAI: 14, Protocol.V1: 15, Protocol.V2: 15}
# What stands for itself in a pattern: an escaped character, or a class of characters.
_LITERAL = re.compile(r"\\[^1-9NUZu]|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
# What Python's patterns have and RE2's do not: looking around, back to a group, on a condition or
# without a way back, comments, some flags and some escapes.
_BEYOND_RE2 = re.compile(r"\(\?(?:[=!>#(]|<[=!]|P=|[imsx-]*[aLux])|\\[1-9NUZu]|[*+?}]\+")
_REPEATED = re.compile(r"\{(\d+)?,?(\d+)?\}")
_MOST_REPEATS = 1000


def carried_violations(protocol: Protocol, at: str, extras: Extras) -> Iterator[Violation]:
    """Why a route of this protocol cannot carry the extras; `at` is their place in the spec."""
    if extras.mirrors and protocol is Protocol.OPENAI:
        yield Violation(
            at,
            "cannot be mirrored: the inference service speaks openai, and an AIGatewayRoute has no "
            "mirror; services that speak v1 or v2 can",
        )
    most = MOST_HEADER_ROUTES[protocol]
    if len(extras.header_routes) > most:
        rule = f"the route has room for {most} header routes, not {len(extras.header_routes)}"
        yield Violation(at, rule)
    for route in extras.header_routes:
        yield from _header_violations(at, route.headers)


def _header_violations(at: str, headers: Iterable[HeaderMatch]) -> Iterator[Violation]:
    seen: set[str] = set()
    for i, header in enumerate(headers):
        name = header.name.lower()
        if not _HEADER_NAME.fullmatch(header.name) or name in _TAKEN:
            rule = (
                f"{header.name!r} must be the name of a header, without '_', and not the gateway's"
            )
            yield Violation(f"{at}.{i}.name", rule)
        if name in seen:
            yield Violation(f"{at}.{i}.name", f"{header.name!r} is asked for twice")
        seen.add(name)
        if header.kind is MatchKind.PATTERN and (problem := _no_pattern(header.value)):
            yield Violation(f"{at}.{i}.value", problem)


def _no_pattern(value: str) -> str:
    """Why a value is no regular expression that a gateway reads; nothing where it is one."""
    try:
        re.compile(value)
    except re.error as error:
        return f"is no regular expression: {error}"
    bare = _LITERAL.sub(".", value)
    if _BEYOND_RE2.search(bare):
        return "must do without looking around, back-references and the like: gateways read RE2"
    counts = (int(count) for found in _REPEATED.findall(bare) for count in found if count)
    if max(counts, default=0) > _MOST_REPEATS:
        return f"must not repeat anything more than {_MOST_REPEATS} times: gateways read RE2"
    return ""
