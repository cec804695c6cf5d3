"""Where a Backend is: its DNS name leads to a Service, the Service to ready loopback addresses."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.controllers.cluster import Key, Object
from sandbox.controllers.informer import Informer

SERVICE_LABEL = "kubernetes.io/service-name"

# <service>.<namespace>.svc, with or without the cluster's domain.
_SERVICE_NAME_PARTS = (("svc",), ("svc", "cluster", "local"))


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    address: str
    port: int


class Addresses:
    """Looks names up in what the informers hold; plays cluster DNS and kube-proxy."""

    def __init__(self, *, backends: Informer, services: Informer, slices: Informer) -> None:
        self._backends = backends
        self._services = services
        self._slices = slices
        self._slices_of: dict[Key, list[Object]] = {}
        self._edition = 0

    @property
    def edition(self) -> int:
        """The same number means the same answers."""
        return self._edition

    def refresh(self) -> None:
        """Take note of changes; call once before all questions and after any change."""
        self._edition += 1
        self._slices_of = {}
        for piece in self._slices:
            labels = piece["metadata"].get("labels") or {}
            key = Key(piece["metadata"]["namespace"], labels.get(SERVICE_LABEL, ""))
            self._slices_of.setdefault(key, []).append(piece)

    def of(self, reference: Object, namespace: str) -> tuple[Endpoint, ...] | None:
        """The endpoints behind an HTTPRoute's backendRef; None when what it names is not there."""
        key = Key(reference.get("namespace") or namespace, reference["name"])
        if reference.get("kind", "Service") == "Service":
            found = self._services.get(key) is not None
            return tuple(self._of_service(key, reference.get("port", 0))) if found else None
        backend = self._backends.get(key)
        if backend is None:
            return None
        listed = backend["spec"].get("endpoints") or []
        return tuple(sorted({found for one in listed for found in self._of_entry(one)}))

    def _of_entry(self, entry: Object) -> Iterator[Endpoint]:
        if "fqdn" in entry:
            yield from self._of_name(entry["fqdn"]["hostname"], entry["fqdn"]["port"])
        elif "ip" in entry and _is_loopback(entry["ip"]["address"]):
            yield Endpoint(entry["ip"]["address"], entry["ip"]["port"])

    def _of_name(self, hostname: str, port: int) -> Iterator[Endpoint]:
        service, _, rest = hostname.rstrip(".").partition(".")
        namespace, _, suffix = rest.partition(".")
        if tuple(suffix.split(".")) in _SERVICE_NAME_PARTS:
            yield from self._of_service(Key(namespace, service), port)

    def _of_service(self, key: Key, port: int) -> Iterator[Endpoint]:
        service = self._services.get(key)
        ports = service["spec"].get("ports") or [] if service else []
        entry = next((one for one in ports if one["port"] == port), None)
        if entry is None:
            return
        for piece in self._slices_of.get(key, ()):
            yield from _ready(piece, entry.get("name", ""))


def _ready(piece: Object, port_name: str) -> Iterator[Endpoint]:
    ports = piece.get("ports") or []
    port = next((one["port"] for one in ports if (one.get("name") or "") == port_name), None)
    if port is None:
        return
    for endpoint in piece.get("endpoints") or []:
        if (endpoint.get("conditions") or {}).get("ready", True):
            for address in endpoint["addresses"]:
                if _is_loopback(address):
                    yield Endpoint(address, port)


def _is_loopback(address: str) -> bool:
    """Nothing outside this machine is ever an upstream of the sandbox."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
