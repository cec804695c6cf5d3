"""Names that Kubernetes takes, and that two things never share."""

import re
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidSpec
from domain.names import WORKLOAD_LENGTH, require_label, workload_name

KSERVE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_service_and_version_give_a_name_that_kserve_takes(service, version):
    name = workload_name(service, version, uuid4(), uuid4())

    assert KSERVE.fullmatch(name)
    assert len(f"{name}-predictor") <= 63
    assert len(name) <= WORKLOAD_LENGTH


def test_the_same_ids_give_the_same_name_and_others_another():
    service, one, two = uuid4(), uuid4(), uuid4()

    assert workload_name("chat", "v1", service, one) == workload_name("chat", "v1", service, one)
    assert workload_name("chat", "v1", service, one) != workload_name("chat", "v1", service, two)
    assert workload_name("chat", "v1", one, two) != workload_name("chat", "v1", service, two)


@pytest.mark.parametrize("value", ["", "A", "a_b", "-a", "a-", "a.b", "a" * 64, "ä"])
def test_what_is_no_label_is_refused_with_the_field_and_the_rule(value):
    with pytest.raises(InvalidSpec, match="RFC 1123 label"):
        require_label("name", value)
