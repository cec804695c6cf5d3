"""The order in which Envoy Gateway tries routes that match the same request."""

from itertools import pairwise

from sandbox.controllers.precedence import precedence


def match(kind=None, value=None, *headers):
    path = {"path": {"type": kind, "value": value}} if kind else {}
    return {**path, "headers": [{"name": f"h{i}", **one} for i, one in enumerate(headers)]}


EXACT, PATTERN = {"type": "Exact"}, {"type": "RegularExpression"}


def test_the_more_specific_goes_first():
    in_order = [
        match("Exact", "/v1/models/m:predict", EXACT),
        match("Exact", "/v1/models/m:predict"),
        match("Exact", "/v1/models/m", EXACT, EXACT),
        match("RegularExpression", "/v1/.*"),
        match("PathPrefix", "/v2/models/m2"),
        match("PathPrefix", "/v2/models/m", EXACT, PATTERN),
        match("PathPrefix", "/v2/models/m", PATTERN, PATTERN),
        match("PathPrefix", "/v2/models/m", EXACT),
        match("PathPrefix", "/", EXACT, EXACT, EXACT),
        match("PathPrefix", "/"),
    ]
    assert all(precedence(one) < precedence(other) for one, other in pairwise(in_order))


def test_no_path_is_every_path():
    assert precedence({}) == precedence(match("PathPrefix", "/"))
