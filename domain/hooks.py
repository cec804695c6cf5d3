"""Hooks: addresses that a rollout asks for leave, or tells what it did."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from urllib.parse import SplitResult, urlsplit

from domain.allowed_hosts import AllowedHosts, is_host
from domain.errors import Violation
from domain.names import name_violations

MOST_HOOKS = 20
MOST_RETRIES = 10
LONGEST_URL = 2048
SHORTEST_TIMEOUT, LONGEST_TIMEOUT = timedelta(seconds=1), timedelta(minutes=1)
SHORTEST_ROUND, LONGEST_ROUND = timedelta(seconds=1), timedelta(hours=1)
LONGEST_ASKING = timedelta(days=30)
PORTS = {"http": 80, "https": 443}


class HookKind(StrEnum):
    """When a hook is called. The first four are asked, the others are told."""

    PRE_ROLLOUT = "pre_rollout"
    CONFIRM_TRAFFIC_INCREASE = "confirm_traffic_increase"
    CONFIRM_PROMOTION = "confirm_promotion"
    CONFIRM_STEP = "confirm_step"
    POST_ROLLOUT = "post_rollout"
    ROLLBACK = "rollback"
    EVENT = "event"

    @property
    def is_asked(self) -> bool:
        """Whether the rollout waits for its yes; one that is told can hold up nothing."""
        return self in ASKED


ASKED = frozenset(
    {
        HookKind.PRE_ROLLOUT,
        HookKind.CONFIRM_TRAFFIC_INCREASE,
        HookKind.CONFIRM_PROMOTION,
        HookKind.CONFIRM_STEP,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A URL that is called at one kind of moment; `timeout` is for one call, in full.

    One that is told is tried again `retries` times after trouble. One that is asked is asked again
    each `ask_every` until it says yes, for `ask_for` in all.
    """

    name: str
    kind: HookKind
    url: str
    timeout: timedelta = timedelta(seconds=10)
    retries: int = 2
    ask_every: timedelta = timedelta(seconds=15)
    ask_for: timedelta = timedelta(hours=1)


def hook_violations(hooks: Sequence[Hook], allowed: AllowedHosts) -> Iterator[Violation]:
    """Every rule that the hooks of a rollout break, hosts that are not allowed among them."""
    if hooks and not allowed.entries:
        yield Violation("hooks", "are switched off: TIDEGATE_HOOKS_ALLOWED_HOSTS names no host")
        return
    if len(hooks) > MOST_HOOKS:
        yield Violation("hooks", f"must be at most {MOST_HOOKS}")
    yield from name_violations("hook", [hook.name for hook in hooks])
    for i, hook in enumerate(hooks):
        at = f"hooks.{i}"
        for rule in url_rules(hook.url, allowed):
            yield Violation(f"{at}.url", rule)
        yield from _time_violations(at, hook)


def url_rules(url: str, allowed: AllowedHosts) -> Iterator[str]:
    """Broken rules in words. The URL is not repeated: a path may hold a secret."""
    split = _split(url)
    if split is None or split.scheme not in PORTS or not split.hostname:
        yield "must be a URL such as https://hooks.example.com/path"
        return
    if "@" in split.netloc:
        yield "must not hold a user or a password: calls are signed instead"
    if split.fragment:
        yield "must not have a fragment: it would never be sent"
    port = split.port or PORTS[split.scheme]
    if not is_host(split.hostname):
        yield "must name its host in ASCII letters, or by an address in its usual form"
    elif not allowed.permits(split.hostname, port):
        yield f"{split.hostname}:{port} is not an allowed host (TIDEGATE_HOOKS_ALLOWED_HOSTS)"


def _split(url: str) -> SplitResult | None:
    """The parts of a URL; None where it has none, or holds what parsers disagree about."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable():
        return None
    if any(odd in url for odd in ' \\"<>^`{|}'):
        return None
    try:
        split = urlsplit(url)
        _ = split.port
    except ValueError:
        return None
    return split


def _time_violations(at: str, hook: Hook) -> Iterator[Violation]:
    for name, value, least, most in (
        ("timeout", hook.timeout, SHORTEST_TIMEOUT, LONGEST_TIMEOUT),
        ("ask_every", hook.ask_every, SHORTEST_ROUND, LONGEST_ROUND),
        ("ask_for", hook.ask_for, SHORTEST_ROUND, LONGEST_ASKING),
    ):
        if not least <= value <= most:
            rule = f"must lie in {least.total_seconds():g}..{most.total_seconds():g}"
            yield Violation(f"{at}.{name}_seconds", rule)
    if not 0 <= hook.retries <= MOST_RETRIES:
        yield Violation(f"{at}.retries", f"must lie in 0..{MOST_RETRIES}")
