"""Virtual models: a name that clients ask for, and the providers' backends that answer to it.

Requests go to the backends of the lowest priority number, divided by weight. What fails there is
tried once with each further priority, in order. Backends are named by the administrator of the
cluster; several projects may use the same ones.
"""

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from domain.errors import AlreadyExists, InvalidTraffic, NotFound, Violation
from domain.names import LABEL, LABEL_LENGTH, LABEL_RULE
from domain.traffic import free_slot

# The Gateway API's limits on one rule of an HTTPRoute.
MOST_BACKENDS = 16
MOST_WEIGHT = 1_000_000
# As many priorities as there can be backends.
MOST_PRIORITY = MOST_BACKENDS - 1
LONGEST_NAME = 200
LONGEST_OVERRIDE = 256
LONGEST_OBJECT = 253
# A path of the API that ends in it lists backends.
_RESERVED = "backends"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]*(/[A-Za-z0-9][A-Za-z0-9._:@+-]*)*")
_NAME_RULE = (
    "must be letters, digits and . _ : @ + - in parts divided by '/', each beginning with a letter "
    f"or digit and none of them {_RESERVED!r}, at most {LONGEST_NAME} characters"
)
_OVERRIDE = re.compile(r"[!-~]+")
_OVERRIDE_RULE = f"must be 1 to {LONGEST_OVERRIDE} printable ASCII characters without spaces"
_OBJECT = re.compile(rf"{LABEL.pattern}(\.{LABEL.pattern})*")
_OBJECT_RULE = f"must be the name of a Kubernetes object, at most {LONGEST_OBJECT} characters"


class BackendStatus(StrEnum):
    """INACTIVE has weight 0 beside others of its priority, and is never asked."""

    ACTIVE = "active"
    INACTIVE = "inactive"


class VirtualModelStatus(StrEnum):
    """EMPTY has no backends, and so no route: the gateway answers 404 to its name."""

    EMPTY = "empty"
    ACTIVE = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualModelBackend:
    """An AIServiceBackend in its position of the route.

    Without an override it is asked for the virtual model's own name.
    """

    id: UUID
    name: str
    namespace: str
    model_name_override: str | None = None
    weight: int = 1
    priority: int = 0
    position: int
    created_at: datetime
    updated_at: datetime

    @property
    def identity(self) -> tuple[str, str, str | None]:
        """What only one backend of a virtual model may be."""
        return (self.namespace, self.name, self.model_name_override)


Backends = tuple[VirtualModelBackend, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualRoute:
    """The one AIGatewayRoute of a virtual model. `model` is the name that clients ask for."""

    project_id: UUID
    virtual_model_id: UUID
    namespace: str
    name: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualModel:
    """As the registry knows it: the backends that the gateway was last seen to obey."""

    id: UUID
    project_id: UUID
    name: str
    description: str = ""
    namespace: str
    route_name: str
    backends: Backends = ()
    created_at: datetime
    updated_at: datetime

    @property
    def status(self) -> VirtualModelStatus:
        return VirtualModelStatus.ACTIVE if self.backends else VirtualModelStatus.EMPTY

    @property
    def route(self) -> VirtualRoute:
        return VirtualRoute(
            project_id=self.project_id,
            virtual_model_id=self.id,
            namespace=self.namespace,
            name=self.route_name,
            model=self.name,
        )

    def backend(self, backend_id: UUID) -> VirtualModelBackend:
        found = next((one for one in self.backends if one.id == backend_id), None)
        if found is None:
            raise NotFound(f"{self.name} has no backend {backend_id}")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendWish:
    """A backend as a person asks for it."""

    name: str
    namespace: str
    model_name_override: str | None = None
    weight: int = 1
    priority: int = 0


class VirtualChangeKind(StrEnum):
    ADD_BACKEND = "add_backend"
    CHANGE_BACKEND = "change_backend"
    DELETE_BACKEND = "delete_backend"
    DELETE_VIRTUAL_MODEL = "delete_virtual_model"


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualModelChange:
    """The backends of a virtual model before and after. With none after it, the route goes."""

    kind: VirtualChangeKind
    route: VirtualRoute
    before: Backends
    after: Backends
    subject: Literal["virtual_model"] = "virtual_model"


def route_name(virtual_model_id: UUID) -> str:
    """Name the AIGatewayRoute of a virtual model."""
    return f"vm-{virtual_model_id.hex[:16]}"


def workflow_id(virtual_model_id: UUID) -> str:
    """The one workflow ID under which a virtual model may be changed."""
    return f"virtual-model-{virtual_model_id}"


def require_name(name: str) -> str:
    """Give the name back if clients can ask for it. Raises InvalidTraffic."""
    is_reserved = _RESERVED in name.split("/")
    if len(name) > LONGEST_NAME or is_reserved or not _NAME.fullmatch(name):
        raise InvalidTraffic(Violation("name", f"{name[:80]!r} {_NAME_RULE}"))
    return name


def added(backends: Backends, wish: BackendWish, *, backend_id: UUID, now: datetime) -> Backends:
    """Let a backend join, in the lowest free position.

    Raises InvalidTraffic for a field out of its bounds, AlreadyExists where the same backend is
    asked for the same name already.
    """
    _require_object(wish)
    if len(backends) == MOST_BACKENDS:
        rule = f"a virtual model has at most {MOST_BACKENDS}"
        raise InvalidTraffic(Violation("backends", rule))
    joined = VirtualModelBackend(
        id=backend_id,
        name=wish.name,
        namespace=wish.namespace,
        model_name_override=wish.model_name_override,
        weight=wish.weight,
        priority=wish.priority,
        position=free_slot(backend.position for backend in backends),
        created_at=now,
        updated_at=now,
    )
    return _with(backends, joined)


def changed(
    backends: Backends,
    backend: VirtualModelBackend,
    *,
    weight: int,
    priority: int,
    model_name_override: str | None,
    now: datetime,
) -> Backends:
    """Give one of the backends these; its position stays. Raises as `added` does."""
    after = replace(
        backend, weight=weight, priority=priority, model_name_override=model_name_override
    )
    if after == backend:
        return backends
    rest = tuple(one for one in backends if one.id != backend.id)
    return _with(rest, replace(after, updated_at=now))


def without(backends: Backends, backend: VirtualModelBackend) -> Backends:
    """Let a backend leave. Raises InvalidTraffic where that leaves priority 0 without weight."""
    rest = tuple(one for one in backends if one.id != backend.id)
    _require_weight_at_first(rest)
    return rest


def status_of(backend: VirtualModelBackend, backends: Backends) -> BackendStatus:
    weight = written_weights(backends)[backend.id]
    return BackendStatus.ACTIVE if weight else BackendStatus.INACTIVE


def _with(rest: Backends, backend: VirtualModelBackend) -> Backends:
    _require_bounds(backend)
    if backend.identity in {one.identity for one in rest}:
        asked = backend.model_name_override or "the virtual model's own name"
        raise AlreadyExists(f"{backend.namespace}/{backend.name} is asked for {asked} already")
    after = tuple(sorted((*rest, backend), key=lambda one: one.position))
    _require_weight_at_first(after)
    return after


def _require_object(wish: BackendWish) -> None:
    broken = []
    if len(wish.name) > LONGEST_OBJECT or not _OBJECT.fullmatch(wish.name):
        broken.append(Violation("ai_service_backend_name", f"{wish.name[:80]!r} {_OBJECT_RULE}"))
    if len(wish.namespace) > LABEL_LENGTH or not LABEL.fullmatch(wish.namespace):
        rule = f"must be {LABEL_RULE} {LABEL_LENGTH} characters"
        broken.append(Violation("ai_service_backend_namespace", rule))
    if broken:
        raise InvalidTraffic(*broken)


def _require_bounds(backend: VirtualModelBackend) -> None:
    broken = []
    if not 0 <= backend.weight <= MOST_WEIGHT:
        broken.append(Violation("weight", f"must lie in 0..{MOST_WEIGHT}, is {backend.weight}"))
    if not 0 <= backend.priority <= MOST_PRIORITY:
        rule = f"must lie in 0..{MOST_PRIORITY}, is {backend.priority}"
        broken.append(Violation("priority", rule))
    override = backend.model_name_override
    if override is not None and (
        len(override) > LONGEST_OVERRIDE or not _OVERRIDE.fullmatch(override)
    ):
        broken.append(Violation("model_name_override", _OVERRIDE_RULE))
    if broken:
        raise InvalidTraffic(*broken)


def _require_weight_at_first(backends: Backends) -> None:
    primary = [backend for backend in backends if backend.priority == 0]
    if primary and not any(backend.weight for backend in primary):
        rule = "at least one backend of priority 0 must have a weight above 0"
        raise InvalidTraffic(Violation("weight", rule))


def written_weights(backends: Backends) -> dict[UUID, int]:
    """The weights as the gateway gets them: a fallback of weight 0 alone is a fallback still."""
    totals: Counter[int] = Counter()
    for backend in backends:
        totals[backend.priority] += backend.weight
    return {b.id: b.weight if totals[b.priority] else 1 for b in backends}
