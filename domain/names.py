"""Names that Kubernetes accepts: checked before use, built so that two things never share one."""

import hashlib
import re
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


def require_label(field: str, value: str, longest: int = LABEL_LENGTH) -> str:
    """Give the value back if it is an RFC 1123 label of at most `longest` characters.

    Raises InvalidSpec that names the field.
    """
    if len(value) > longest or not LABEL.fullmatch(value):
        rule = f"{value[:80]!r} is not an RFC 1123 label ({LABEL_RULE} {longest} characters)"
        raise InvalidSpec(Violation(field, rule))
    return value


def workload_name(service: str, version: str, service_id: UUID, version_id: UUID) -> str:
    """Name the KServe InferenceService of one model version under one inference service.

    Always the same for the same pair of ids and never shared by two pairs (the hash sees to it),
    starts with a letter as KServe demands, and leaves room for KServe's `-predictor`.
    """
    digest = hashlib.sha256(service_id.bytes + version_id.bytes).hexdigest()[:8]
    readable = re.sub(r"[^a-z0-9]+", "-", f"{service}-{version}".lower()).strip("-")
    if not readable[:1].isalpha():
        readable = f"m-{readable}".rstrip("-")
    room = WORKLOAD_LENGTH - len(digest) - 1
    return f"{readable[:room].rstrip('-')}-{digest}"


def route_name(config_id: UUID) -> str:
    """Name the AIGatewayRoute of a traffic config."""
    return f"traffic-{config_id.hex[:16]}"
