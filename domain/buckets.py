"""Sticky splits by header: which users belong to which arm, as patterns that a route can match.

Clients (or an edge proxy) send a hash of the user in a header; its last two hex digits are one of
256 buckets, and each arm has some of them. Who sends no such header matches nobody and falls to the
split by weight.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from domain.apportionment import apportion
from domain.errors import InvalidSpec, Violation
from domain.traffic import HeaderMatch, MatchKind, require_whole

BUCKETS = 256
_DIGITS = "0123456789abcdef"
# The gateway's listeners refuse header names with an underscore.
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_COOKIE_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9!#$%&'()*+./:<=>?@\[\]^_`{|}~-]+")

Owners = tuple[str, ...]
"""The arm of each bucket, from 00 to ff."""


def assign(weights: Mapping[str, int], before: Owners | None = None) -> Owners:
    """Give each arm as many of the 256 buckets as its weight in whole percent comes to.

    At first each arm has one range, in the order of the weights. From `before` on, only as many
    buckets move as must: an arm that shrinks gives its last ones away, so that users stay where
    they are. Raises InvalidSpec unless the weights lie in 0..100 and sum to 100.
    """
    require_whole(weights.values())
    sizes = dict(zip(weights, apportion(list(weights.values()), BUCKETS), strict=True))
    if before is None:
        return tuple(arm for arm, size in sizes.items() for _ in range(size))
    return _moved(before, sizes)


def bucket_matches(header: str, owners: Owners) -> dict[str, tuple[HeaderMatch, ...]]:
    """What a request must carry to belong to each arm; an arm without a bucket is left out.

    Raises InvalidSpec when the header's name cannot be matched by the gateway.
    """
    _require_header(header)
    by_arm: dict[str, list[int]] = {}
    for bucket, arm in enumerate(owners):
        by_arm.setdefault(arm, []).append(bucket)
    return {
        arm: (HeaderMatch(name=header, value=bucket_pattern(buckets), kind=MatchKind.PATTERN),)
        for arm, buckets in by_arm.items()
    }


def bucket_pattern(buckets: Iterable[int]) -> str:
    """A pattern (RE2, of the whole value) of hashes whose last two digits are one of the buckets.

    First digits with the same second ones share an alternative, so the pattern stays short.
    """
    seconds: dict[int, list[int]] = {}
    for bucket in sorted(buckets):
        seconds.setdefault(bucket // 16, []).append(bucket % 16)
    firsts: dict[str, list[int]] = {}
    for first, digits in seconds.items():
        firsts.setdefault(_digits(digits), []).append(first)
    pairs = "|".join(_digits(first) + second for second, first in firsts.items())
    return f"(?i).*(?:{pairs})"


def cookie_match(name: str, value: str) -> tuple[HeaderMatch, ...]:
    """Requests that carry this cookie, wherever it stands in the Cookie header.

    Raises InvalidSpec when no cookie can have this name or value.
    """
    if not _COOKIE_NAME.fullmatch(name):
        raise InvalidSpec(Violation("cookie.name", f"{name[:80]!r} is no name of a cookie"))
    if not _COOKIE_VALUE.fullmatch(value):
        raise InvalidSpec(Violation("cookie.value", f"{value[:80]!r} is no value of a cookie"))
    pattern = rf"(.*;\s*)?{re.escape(name)}={re.escape(value)}(\s*;.*)?"
    return (HeaderMatch(name="cookie", value=pattern, kind=MatchKind.PATTERN),)


def _moved(before: Owners, sizes: Mapping[str, int]) -> Owners:
    room = dict(sizes)
    kept: list[str | None] = []
    for arm in before:
        stays = room.get(arm, 0) > 0
        kept.append(arm if stays else None)
        if stays:
            room[arm] -= 1
    free = iter([arm for arm, size in room.items() for _ in range(size)])
    return tuple(next(free) if arm is None else arm for arm in kept)


def _digits(digits: Sequence[int]) -> str:
    """Hex digits, ascending, as one class: 3, [0-3] or [0-24f]."""
    runs = []
    for _, run in groupby(enumerate(digits), key=lambda each: each[1] - each[0]):
        members = [_DIGITS[digit] for _, digit in run]
        runs += [f"{start}-{end}" for start, end in _within_kind(members)]
    listed = "".join(run[0] if run[0] == run[-1] else run for run in runs)
    return listed if len(listed) == 1 else f"[{listed}]"


def _within_kind(members: Sequence[str]) -> list[tuple[str, str]]:
    """First and last of the numerals and of the letters: no class can span both."""
    kinds = ([m for m in members if m.isdigit()], [m for m in members if m.isalpha()])
    return [(kind[0], kind[-1]) for kind in kinds if kind]


def header_violations(at: str, header: str) -> Iterator[Violation]:
    """Why the gateway cannot match a header of this name."""
    if not _HEADER.fullmatch(header):
        rule = f"{header[:80]!r} must be letters, digits and '-': the gateway refuses others"
        yield Violation(at, rule)


def _require_header(header: str) -> None:
    if violations := tuple(header_violations("header", header)):
        raise InvalidSpec(*violations)
