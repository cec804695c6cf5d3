"""What is chosen from what KServe says about a workload."""

import pytest

from adapters.aigateway.manifests import READING, prefix_of
from adapters.gateways.manifests import dialled_port_of, names_in
from domain.traffic import Slot
from tests.cluster.builders import workload_in

PORT = {"port": 80, "targetPort": 8080}


@pytest.mark.parametrize(
    ("spec", "port"),
    [
        ({"clusterIP": "10.0.0.1", "ports": [PORT]}, 80),
        ({"ports": [PORT]}, 80),
        ({"clusterIP": "None", "ports": [PORT]}, 8080),
        ({"clusterIP": "None", "ports": [{"port": 80, "targetPort": "http"}]}, 80),
        ({"clusterIP": "None", "ports": [{"port": 80}]}, 80),
        ({"ports": []}, None),
        ({"ports": [{"port": "80"}]}, None),
        ({}, None),
    ],
)
def test_a_headless_service_is_dialled_at_the_container(spec, port):
    assert dialled_port_of({"spec": spec}) == port


@pytest.mark.parametrize(
    ("model_format", "runtime", "prefix"),
    [
        ("sim", None, "v1"),
        ("huggingface", None, "openai/v1"),
        ("HuggingFace", None, "openai/v1"),
        ("huggingface", "kserve-vllmserver", "v1"),
        ("vLLM", "kserve-huggingfaceserver-multinode", "openai/v1"),
        ("vLLM", None, "v1"),
    ],
)
def test_the_prefix_is_that_of_the_server(model_format, runtime, prefix):
    workload = workload_in("a", model_format=model_format, runtime=runtime)
    assert prefix_of(workload) == prefix


def test_a_weight_that_is_not_stated_is_one():
    found = {"spec": {"rules": [{"backendRefs": [{"name": "a"}, {"name": "b", "weight": 0}]}]}}
    assert READING.slots(found) == (Slot(workload="a", weight=1), Slot(workload="b", weight=0))
    assert names_in(found) == {"a", "b"}


@pytest.mark.parametrize("found", [None, {}, {"spec": 7}, {"spec": {"rules": [7, {}]}}])
def test_a_route_of_odd_shape_has_no_slots(found):
    assert READING.slots(found or {}) == ()
    assert names_in(found) == frozenset()
