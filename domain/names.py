"""Names that Kubernetes accepts: checked before use, built so that two things never share one."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from uuid import UUID

from domain.errors import InvalidSpec, Violation

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_LENGTH = 63
# KServe names the predictor's Service `<name>-predictor`, which must itself be a label.
WORKLOAD_LENGTH = LABEL_LENGTH - len("-predictor")
LABEL_RULE = (
    "lower-case letters, digits and '-', starting and ending with a letter or digit, at most"
)

# No name of an object, hence the underscore.
VARIANT = re.compile(r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?")
VARIANT_RULE = (
    "lower-case letters, digits, '-' and '_', starting and ending with a letter or digit, "
    f"at most {LABEL_LENGTH} characters"
)


def name_violations(kind: str, names: Sequence[str]) -> Iterator[Violation]:
    """The names of a list must be RFC 1123 labels, each once; `kind` is what one of them names."""
    for i, name in enumerate(names):
        at = f"{kind}s.{i}.name"
        if not LABEL.fullmatch(name) or len(name) > LABEL_LENGTH:
            yield Violation(at, f"{name[:80]!r} is not an RFC 1123 label")
        if names.index(name) != i:
            yield Violation(at, f"{name!r} names another {kind} already")


def require_label(field: str, value: str, longest: int = LABEL_LENGTH) -> str:
    """Give the value back if it is an RFC 1123 label of at most `longest` characters.

    Raises InvalidSpec that names the field.
    """
    if len(value) > longest or not LABEL.fullmatch(value):
        rule = f"{value[:80]!r} is not an RFC 1123 label ({LABEL_RULE} {longest} characters)"
        raise InvalidSpec(Violation(field, rule))
    return value


def workload_name(
    service: str, version: str, service_id: UUID, version_id: UUID, *others: UUID
) -> str:
    """Name the KServe InferenceService of a model version under one inference service.

    Always the same for the same ids and never shared by two sets of them (the hash sees to it),
    starts with a letter as KServe demands, and leaves room for KServe's `-predictor`. `others` are
    the further versions of an InferenceService that serves several, in order.
    """
    ids = (service_id, version_id, *others)
    digest = hashlib.sha256(b"".join(one.bytes for one in ids)).hexdigest()[:8]
    more = f"-and-{len(others)}-more" if others else ""
    readable = slug(f"{service}-{version}{more}")
    if not readable[:1].isalpha():
        readable = f"m-{readable}".rstrip("-")
    room = WORKLOAD_LENGTH - len(digest) - 1
    return f"{readable[:room].rstrip('-')}-{digest}"


def slug(words: str) -> str:
    """The words in lower-case letters, digits and single dashes; empty where none is left."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def route_name(config_id: UUID) -> str:
    """Name the AIGatewayRoute of a traffic config."""
    return f"traffic-{config_id.hex[:16]}"
