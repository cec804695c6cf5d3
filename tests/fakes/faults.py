"""Failures that a test plans ahead: each call of a port's method takes the next one."""

from collections import defaultdict, deque
from collections.abc import Iterable

from domain.errors import TidegateError


class Faults:
    """What the next calls of each method raise, in order; afterwards they work."""

    def __init__(self) -> None:
        self._planned: dict[str, deque[TidegateError]] = defaultdict(deque)
        self._standing: dict[str, TidegateError] = {}

    def plan(self, method: str, errors: Iterable[TidegateError]) -> None:
        self._planned[method].extend(errors)

    def stand(self, method: str, error: TidegateError | None) -> None:
        """Raise this on every call from now on, until None ends the outage."""
        if error is None:
            self._standing.pop(method, None)
        else:
            self._standing[method] = error

    def strike(self, method: str) -> None:
        if self._planned[method]:
            raise self._planned[method].popleft()
        if method in self._standing:
            raise self._standing[method]
