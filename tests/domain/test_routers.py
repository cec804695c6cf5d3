"""What a route can carry beside its split, by protocol, and what a gateway reads as a pattern."""

import pytest

from domain.routers import carried_violations
from domain.traffic import Extras, HeaderMatch, HeaderRoute, MatchKind, Mirror
from domain.workloads import Protocol

MIRRORED = Extras(mirrors=(Mirror(workload="v2", percent=20),))


def broken(protocol, extras):
    return [(one.field, one.rule) for one in carried_violations(protocol, "shadow", extras)]


def routed(many):
    headers = (HeaderMatch(name="x-bucket", value="a"),)
    return Extras(
        header_routes=tuple(
            HeaderRoute(name=f"bucket-{i}", headers=headers, workload="v2") for i in range(many)
        )
    )


def matched(value):
    header = HeaderMatch(name="x-user", value=value, kind=MatchKind.PATTERN)
    return Extras(header_routes=(HeaderRoute(name="a", headers=(header,), workload="v2"),))


def test_a_mirror_needs_a_predictive_protocol():
    ((field, rule),) = broken(Protocol.OPENAI, MIRRORED)
    assert (field, "AIGatewayRoute has no mirror" in rule) == ("shadow", True)
    assert broken(Protocol.V1, MIRRORED) == broken(Protocol.V2, MIRRORED) == []


@pytest.mark.parametrize(
    ("protocol", "most"), [(Protocol.OPENAI, 14), (Protocol.V1, 15), (Protocol.V2, 15)]
)
def test_header_routes_are_as_many_as_a_route_has_rules_for(protocol, most):
    assert broken(protocol, routed(most)) == []
    ((_, rule),) = broken(protocol, routed(most + 1))
    assert rule == f"the route has room for {most} header routes, not {most + 1}"


@pytest.mark.parametrize(
    "value",
    [
        ".*[0-3]$",
        "(?i)canary|green",
        "(?P<bucket>a|b)(?:c)",
        r"a\\1",  # a backslash and a digit, no way back
        r"\++",
        "[(?=)]+",
        r"[^]\]a*+]{2,1000}",
        r"\(?=",
    ],
)
def test_a_pattern_that_re2_reads_is_taken(value):
    assert broken(Protocol.V1, matched(value)) == []


@pytest.mark.parametrize(
    "value",
    [
        "(?=a)b",
        "(?<!a)b",
        r"(a)\1",
        "(?P<a>b)(?P=a)",
        "(a)?(?(1)b|c)",
        "(?#why)a",
        "(?x) a",
        "(?u:a)",
        r"a\Z",
        r"\u00e9",
        "a{1001}",
        "a{2,1001}",
    ],
)
def test_a_pattern_that_only_python_reads_is_refused_with_the_reason(value):
    ((field, rule),) = broken(Protocol.V1, matched(value))
    assert field == "shadow.0.value"
    assert "gateways read RE2" in rule


# Python reads these from 3.11 on.
@pytest.mark.parametrize("value", ["a*+b", "(?>a|b)c", "[ab]{2}+"])
def test_a_pattern_without_a_way_back_is_refused(value):
    ((_, rule),) = broken(Protocol.V1, matched(value))
    assert "gateways read RE2" in rule
