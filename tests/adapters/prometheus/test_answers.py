"""Reading answers that may come from anybody."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.prometheus.answers import RawSeries, read_matrix, read_numbers, refusal
from domain.errors import Forbidden, Refused, Unreachable

LABELS = {"__name__": "requests", "instance": "a"}


def matrix(*values, metric=None):
    return [{"metric": LABELS if metric is None else metric, "values": list(values)}]


def test_samples_are_read_in_order_without_stale_markers():
    values = [[3.0, "5"], [1, "2.5"], [2, "NaN"], [4, "+Inf"]]
    (series,) = read_matrix(matrix(*values))
    assert series.samples == ((1.0, 2.5), (3.0, 5.0))
    assert series.labels == LABELS


def test_no_series_is_no_series():
    assert read_matrix([]) == ()


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (None, "no list"),
        ({"metric": {}}, "no list"),
        ([7], "no object"),
        ([{}], "no labels"),
        ([{"metric": {"a": 7}, "values": []}], "no labels"),
        ([{"metric": {}, "value": [1, "2"]}], "no values"),
        ([{"metric": {}, "histograms": []}], "no values"),
        (matrix([1]), "no pair"),
        (matrix([1, 2]), "no pair"),
        (matrix(["1", "2"]), "no pair"),
        (matrix([True, "2"]), "no pair"),
        (matrix([1, "two"]), "no number"),
        (matrix([math.nan, "2"]), "no time"),
        (matrix([10**400, "2"]), "no number"),
    ],
)
def test_what_is_no_matrix_is_named(answer, what):
    with pytest.raises(Unreachable, match=what):
        read_matrix(answer)


def vector(*values):
    return [{"metric": {"n": str(i)}, "value": [1.5, value]} for i, value in enumerate(values)]


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ([], "()"),
        (vector("5"), "(5.0,)"),
        (vector("NaN", "+Inf", "-Inf", "2.5"), "(nan, inf, -inf, 2.5)"),
        ([1435781430.781, "7"], "(7.0,)"),
        ([1435781430, "NaN"], "(nan,)"),
    ],
)
def test_every_number_of_an_answer_is_kept_whatever_it_is(answer, numbers):
    assert repr(read_numbers(answer)) == numbers


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ([1, "up"], "text"),
        (matrix([1, "2"]), "a range of samples"),
        ([{"metric": {}, "histogram": [1, {}]}], "a histogram"),
    ],
)
def test_an_answer_that_is_no_number_a_series_is_the_query_s_fault(answer, what):
    with pytest.raises(Refused, match=what):
        read_numbers(answer)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (None, "no list"),
        ({"metric": {}}, "no list"),
        ([7], "no object"),
        ([{}], "no labels"),
        ([True, "2"], "no pair"),
        ([math.nan, "2"], "no time"),
        (vector(7), "no pair"),
        (vector("two"), "no number"),
        ([{"metric": {}}], "no pair"),
    ],
)
def test_what_is_no_answer_is_named(answer, what):
    with pytest.raises(Unreachable, match=what):
        read_numbers(answer)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["metric", "values", "1", "NaN", "-1e999", "1_0", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["metric", "values", "le"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(
    json_values | st.lists(st.fixed_dictionaries({"metric": json_values, "values": json_values}))
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_comes_is_read_or_unreachable(answer):
    try:
        found = read_matrix(answer)
    except Unreachable:
        return
    for series in found:
        assert list(series.samples) == sorted(series.samples)
        assert all(math.isfinite(at) and math.isfinite(value) for at, value in series.samples)
        assert series.key


@given(
    json_values
    | st.lists(st.fixed_dictionaries({"metric": json_values, "value": json_values}))
    | st.tuples(json_values, json_values).map(list)
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_comes_is_numbers_or_refused_or_unreachable(answer):
    try:
        found = read_numbers(answer)
    except (Unreachable, Refused):
        return
    assert all(isinstance(number, float) for number in found)


def test_a_key_depends_on_every_label_and_on_no_order():
    one = RawSeries(labels={"a": "1", "b": "2"}, samples=())
    same = RawSeries(labels={"b": "2", "a": "1"}, samples=((1.0, 2.0),))
    other = RawSeries(labels={"a": "1", "b": "3"}, samples=())
    assert one.key == same.key
    assert one.key != other.key


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (400, Refused),
        (422, Refused),
        (401, Forbidden),
        (403, Forbidden),
        (404, Unreachable),
        (408, Unreachable),
        (429, Unreachable),
        (499, Unreachable),
        (204, Unreachable),
        (500, Unreachable),
        (503, Unreachable),
    ],
)
def test_a_refusal_says_what_the_store_says(code, expected):
    body = json.dumps({"status": "error", "errorType": "x", "error": "because of y"}).encode()
    error = refusal(code, body)
    assert type(error) is expected
    assert "because of y" in str(error)


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"<html>", b'{"error": 7}'])
def test_a_refusal_in_no_form_is_still_one(body):
    assert type(refusal(503, body)) is Unreachable
