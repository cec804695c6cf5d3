"""The sim:// grammar: what it understands, and what it refuses in which words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.behaviour import Behaviour, BehaviourError


def test_a_uri_without_parameters_has_the_defaults():
    assert Behaviour.parse("sim://chat") == Behaviour(model="chat")


def test_each_parameter_is_read_in_its_unit():
    behaviour = Behaviour.parse(
        "sim://chat?latency_ms=40.5&jitter_ms=10&error_rate=0.3&slow_rate=0.01&slow_ms=900"
        "&ttft_ms=20&tokens=16&tokens_per_second=50&load_seconds=0.5&fail_load=1&seed=7"
        "&error_status=503&error_after_seconds=5&error_after_requests=100"
    )
    assert behaviour.latency_ms == 40.5
    assert behaviour.tokens == 16
    assert behaviour.fail_load is True
    assert behaviour.error_after_requests == 100


def test_a_model_name_is_read_as_it_stands():
    behaviour = Behaviour.parse("sim://openai?error_rate=1&error_model=gpt-5%2Fdown:1.0")
    assert behaviour.error_model == "gpt-5/down:1.0"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("hf://org/model", "is no simulated model"),
        ("sim://", "is no simulated model"),
        ("sim://chat/v2", "path"),
        ("sim://chat?latency=4", "unknown parameter 'latency'; known are latency_ms"),
        ("sim://chat?model=x", "unknown parameter 'model'"),
        ("sim://chat?latency_ms", "is not name=value"),
        ("sim://chat?latency_ms=", "latency_ms must be a number from 0"),
        ("sim://chat?latency_ms=4&latency_ms=5", "latency_ms is given twice"),
        ("sim://chat?latency_ms=-1", "latency_ms must be a number from 0 to 600000"),
        ("sim://chat?error_rate=1.01", "error_rate must be a number from 0 to 1"),
        ("sim://chat?error_rate=nan", "error_rate must be a number from 0 to 1"),
        ("sim://chat?error_rate=1e-3", "error_rate must be a number from 0 to 1"),
        ("sim://chat?tokens=1.5", "tokens must be a whole number from 1"),
        ("sim://chat?tokens=0", "tokens must be a whole number from 1"),
        ("sim://chat?fail_load=yes", "fail_load must be a whole number from 0 to 1"),
        ("sim://chat?error_model=" + "m" * 257, "error_model must be a text of at most 256"),
        ("sim://chat?error_status=200", "error_status must be a whole number from 400"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_rule(uri, message):
    with pytest.raises(BehaviourError, match=message.replace("?", r"\?")):
        Behaviour.parse(uri)


@given(st.text(max_size=40))
def test_no_query_breaks_the_parser(query):
    try:
        behaviour = Behaviour.parse(f"sim://chat?{query}")
    except BehaviourError:
        return
    assert 0 <= behaviour.error_rate <= 1


def test_a_change_keeps_what_it_does_not_name():
    before = Behaviour.parse("sim://chat?latency_ms=5")
    after = before.changed({"error_rate": 1})
    assert (after.latency_ms, after.error_rate) == (5.0, 1.0)


def test_what_matters_only_at_load_cannot_be_changed_later():
    with pytest.raises(BehaviourError, match="fail_load matters only while the model loads"):
        Behaviour(model="chat").changed({"fail_load": 1})


def test_a_change_follows_the_same_rules():
    with pytest.raises(BehaviourError, match="error_rate must be a number from 0 to 1"):
        Behaviour(model="chat").changed({"error_rate": "high"})
