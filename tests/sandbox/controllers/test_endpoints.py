"""Where a Backend leads to: names, ports, readiness, and never off this machine."""

from typing import Any

import pytest

from sandbox.controllers.cluster import Key
from sandbox.controllers.endpoints import Addresses, Endpoint
from sandbox.controllers.envoy_resources import envoy_duration


class Held(dict[Key, Any]):
    """What an informer holds, without a cluster behind it."""

    def __iter__(self):
        return iter(self.values())


def held(*objects):
    return Held({Key.of(one): one for one in objects})


def backend(*endpoints):
    return {"metadata": {"namespace": "ns", "name": "b"}, "spec": {"endpoints": list(endpoints)}}


def fqdn(hostname="chat-predictor.ns.svc.cluster.local", port=80):
    return {"fqdn": {"hostname": hostname, "port": port}}


SERVICE = {
    "metadata": {"namespace": "ns", "name": "chat-predictor"},
    "spec": {"ports": [{"name": "http", "port": 80}]},
}


def piece(address="127.0.0.1", *, ready=True, port_name="http", namespace="ns"):
    return {
        "metadata": {
            "namespace": namespace,
            "name": "chat-predictor",
            "labels": {"kubernetes.io/service-name": "chat-predictor"},
        },
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}}],
        "ports": [{"name": port_name, "port": 4711}],
    }


READY = piece()


def found(*entries, slices=(READY,), services=(SERVICE,)):
    addresses = Addresses(
        backends=held(backend(*entries)), services=held(*services), slices=held(*slices)
    )
    addresses.refresh()
    return addresses.of({"kind": "Backend", "name": "b"}, "ns")


def test_a_name_leads_through_the_service_to_its_endpoint():
    assert found(fqdn()) == (Endpoint("127.0.0.1", 4711),)
    assert found(fqdn("chat-predictor.ns.svc")) == (Endpoint("127.0.0.1", 4711),)


def test_an_address_is_taken_as_it_is():
    assert found({"ip": {"address": "127.0.0.1", "port": 99}}) == (Endpoint("127.0.0.1", 99),)


def test_a_backend_that_is_not_there_is_not_the_same_as_an_empty_one():
    addresses = Addresses(backends=held(), services=held(), slices=held())
    assert addresses.of({"kind": "Backend", "name": "b"}, "ns") is None
    assert found() == ()


def test_a_service_can_be_named_directly():
    addresses = Addresses(backends=held(), services=held(SERVICE), slices=held(piece()))
    addresses.refresh()
    reference = {"name": "chat-predictor", "port": 80}
    assert addresses.of(reference, "ns") == (Endpoint("127.0.0.1", 4711),)
    assert addresses.of({"name": "other", "port": 80}, "ns") is None


@pytest.mark.parametrize(
    "entry",
    [
        fqdn(port=8080),
        fqdn("chat-predictor.other.svc.cluster.local"),
        fqdn("chat-predictor.ns.svc.example.com"),
        fqdn("example.com"),
        {"ip": {"address": "10.0.0.1", "port": 80}},
        {"unix": {"path": "/tmp/socket"}},
    ],
)
def test_what_leads_nowhere_is_empty(entry):
    assert found(entry) == ()


@pytest.mark.parametrize(
    "one", [piece(ready=False), piece("192.168.0.1"), piece(port_name="grpc"), piece(namespace="x")]
)
def test_only_ready_endpoints_on_this_machine_count(one):
    assert found(fqdn(), slices=(one,)) == ()


@pytest.mark.parametrize(
    ("written", "meant"),
    [("60s", "60s"), ("1m30s", "90s"), ("500ms", "0.5s"), ("1h", "3600s"), ("0s", "0s")],
)
def test_durations_are_written_as_envoy_reads_them(written, meant):
    assert envoy_duration(written) == meant
