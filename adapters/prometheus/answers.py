"""Reading what Prometheus sends: series of samples, single values, and its refusals.

Nothing is taken on trust: another program may be listening, or a proxy in between.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import pairwise
from typing import Any

from domain.errors import Forbidden, Refused, TidegateError, Unreachable
from domain.evidence.counters import Sample, Series, SeriesRole

_EXCERPT = 200
_SHORT = 12
_YEAR_10000 = 253_402_300_800.0
_LARGEST_COUNT = 2.0**53
_PLAIN_SUCCESS = b'{"status":"success"'
_COME_BACK = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, 499}
)
_NO_ACCESS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSeries:
    """One series: all of its labels, its samples in order of time without stale markers."""

    labels: Mapping[str, str]
    samples: tuple[Sample, ...]

    @property
    def key(self) -> str:
        """Name the series the same at every look, briefly: cursors keep one per series."""
        canonical = json.dumps(sorted(self.labels.items()), ensure_ascii=False)
        digest = hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()
        name = self.labels.get("__name__", "")
        return f"{name}@{digest[:_SHORT]}"

    @property
    def target(self) -> str:
        """What was scraped, by the two labels that Prometheus gives to every target."""
        return f"{self.labels.get('job', '')}/{self.labels.get('instance', '')}"

    def counting(
        self, role: SeriesRole, *, bound_ms: float | None = None, mark: str = ""
    ) -> Series:
        """As what it counts. `mark` tells two meanings of one series apart."""
        return Series(
            key=f"{self.key}{mark}",
            role=role,
            bound_ms=bound_ms,
            target=self.target,
            samples=self.samples,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RawValue:
    """One series at one moment."""

    labels: Mapping[str, str]
    value: float


def read_matrix(result: Any) -> tuple[RawSeries, ...]:
    """Read a matrix. Raises Unreachable, which says what is odd about it."""
    if not isinstance(result, list):
        raise _odd("the result is no list", result)
    read = tuple(_series(one) for one in result)
    if len({frozenset(series.labels.items()) for series in read}) < len(read):
        raise _odd("a series comes twice", result)
    return read


def require_counts(series: Iterable[RawSeries]) -> None:
    """Raise Unreachable where a value is larger than anything that was ever counted."""
    for one in series:
        for sample in one.samples:
            if abs(sample[1]) > _LARGEST_COUNT:
                raise _odd("a sample is too large for a counter", (dict(one.labels), sample))


def warnings_of(body: bytes) -> tuple[str, ...]:
    """What an answer warns of, such as that a part of the store did not answer.

    Raises Unreachable where it is no success though it came as one, ValueError for no JSON.
    """
    if body.startswith(_PLAIN_SUCCESS) and b'"warnings"' not in body:
        return ()
    document = json.loads(body)
    if not isinstance(document, dict) or document.get("status") != "success":
        raise _odd("it is no success", document)
    warnings = document.get("warnings") or ()
    if not isinstance(warnings, list | tuple):
        raise _odd("its warnings are no list", warnings)
    return tuple(_readable(str(warning)) for warning in warnings)


def read_vector(result: Any) -> tuple[RawValue, ...]:
    """Read a vector, without values that are no numbers. Raises Unreachable as above."""
    if not isinstance(result, list):
        raise _odd("the result is no list", result)
    read = [(_labels(one), _sample(one.get("value"))) for one in result]
    return tuple(
        RawValue(labels=labels, value=value) for labels, (_, value) in read if math.isfinite(value)
    )


def read_numbers(result: Any) -> tuple[float, ...]:
    """Read a vector or a scalar: a number a series, NaN and infinities included.

    Raises Refused where it is neither, Unreachable where it makes no sense.
    """
    if not isinstance(result, list):
        raise _odd("the result is no list", result)
    match result:
        case [int() | float(), str() as text]:
            return (_scalar(text, result),)
        case _:
            return tuple(map(_number, result))


def _scalar(text: str, found: Any) -> float:
    """A string is sent as a scalar is, so only its text tells that it is none."""
    try:
        float(text)
    except ValueError:
        raise Refused("the query answers text, and not numbers") from None
    return _sample(found)[1]


def _number(found: Any) -> float:
    _labels(found)
    for other, what in (("values", "a range of samples"), ("histogram", "a histogram")):
        if other in found and "value" not in found:
            raise Refused(f"the query answers {what} for each series, and not a number")
    return _sample(found.get("value"))[1]


def refusal(code: int, body: bytes) -> TidegateError:
    """Translate an answer that is no success.

    A query that is at fault stays so: Refused with what Prometheus says. A 404 is no API at all,
    which is how a proxy answers while there is no store behind it.
    """
    said = _readable(_message(body)) or f"HTTP {code}"
    if code in _NO_ACCESS:
        return Forbidden(f"the metrics store lets us not in: {said}")
    if code in _COME_BACK or not HTTPStatus.BAD_REQUEST <= code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unreachable(f"the metrics store answered {code}: {said}")
    return Refused(f"the metrics store refuses the query: {said}")


def _labels(found: Any) -> Mapping[str, str]:
    if not isinstance(found, dict):
        raise _odd("a series is no object", found)
    labels = found.get("metric")
    if not isinstance(labels, dict) or not all(isinstance(one, str) for one in labels.values()):
        raise _odd("a series has no labels", found)
    return labels


def _series(found: Any) -> RawSeries:
    labels = _labels(found)
    values = found.get("values")
    if not isinstance(values, list):
        raise _odd("a series has no values, so this is no matrix", found)
    read = sorted(_sample(value) for value in values)
    if any(before[0] == after[0] for before, after in pairwise(read)):
        raise _odd("a series has two values at one time", found)
    finite = tuple((at, value) for at, value in read if math.isfinite(value))
    return RawSeries(labels=labels, samples=finite)


def _sample(found: Any) -> Sample:
    """Read `[seconds, "value"]`."""
    match found:
        case [int() | float() as at, str() as value] if not isinstance(at, bool):
            try:
                seconds, number = float(at), float(value)
            except (ValueError, OverflowError) as error:
                raise _odd("a sample is no number", found) from error
        case _:
            raise _odd("a sample is no pair of time and value", found)
    if not 0 <= seconds < _YEAR_10000:
        raise _odd("a sample has no time", found)
    return (seconds, number)


def _message(body: bytes) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        return body[:_EXCERPT].decode(errors="replace")
    said = document.get("error") if isinstance(document, dict) else None
    return said if isinstance(said, str) else body[:_EXCERPT].decode(errors="replace")


def _odd(what: str, found: Any) -> Unreachable:
    return Unreachable(f"the metrics store answered oddly: {what}: {_readable(repr(found))}")


def _readable(text: str) -> str:
    """The beginning of a text, as what any store of texts takes and any terminal shows."""
    printable = (char if char.isprintable() else " " for char in text[:_EXCERPT])
    return "".join(printable)
