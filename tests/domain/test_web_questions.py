"""Questions to a URL: what is filled in where, and what may not be asked."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.allowed_hosts import AllowedHosts
from domain.errors import InvalidSpec
from domain.promql_text import Value
from domain.reading_gates import web_gate_violations
from domain.web_questions import MOST_HEADERS, WebQuestion, host_violations, web_call
from tests.plans import ERRORS, QUALITY, canary_spec, plan

ASKED = WebQuestion(url="https://eval.example.com/score", json_path="$.score")
NAMES: dict[str, Value] = {"candidate.workload": 'a/b "c"?&#%', "weight": 10}
ALLOWED = AllowedHosts.read("eval.example.com")


def gate(**changes):
    return replace(QUALITY, question=replace(ASKED, **changes))


def violations(**changes):
    with pytest.raises(InvalidSpec) as refused:
        plan(canary_spec(gates=(ERRORS, gate(**changes))))
    return {one.field: one.rule for one in refused.value.violations}


def test_a_value_in_a_url_is_one_part_of_its_path_or_query():
    asked = replace(ASKED, url=f"{ASKED.url}/{{{{candidate.workload}}}}?w={{{{ weight }}}}")
    called = web_call(asked, NAMES)
    assert called.url == f"{ASKED.url}/a%2Fb%20%22c%22%3F%26%23%25?w=10"


def test_a_value_in_a_body_is_text_within_its_text():
    body = {"m": "model {{candidate.workload}}", "w": ["{{weight}}", 1, None], "{{weight}}": True}
    called = web_call(replace(ASKED, method="POST", body=json.dumps(body)), NAMES)
    assert json.loads(called.body) == {
        "m": 'model a/b "c"?&#%',
        "w": ["10", 1, None],
        "{{weight}}": True,
    }


def test_a_question_without_a_body_sends_none():
    assert web_call(ASKED, NAMES).body == b""


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"url": "https://{{candidate.workload}}/"}, "url", "before its path"),
        ({"url": "{{candidate.workload}}"}, "url", "before its path"),
        ({"url": "https://a.example.com?{{pod}}"}, "url", "which is not known here"),
        ({"json_path": "score"}, "json_path", "must begin with $"),
        ({"method": "DELETE"}, "method", "GET or POST"),
        ({"body": "{}"}, "body", "belongs to the method POST"),
        ({"method": "POST", "body": "{"}, "body", "must be JSON"),
        ({"method": "POST", "body": '{"a": "{{b}}"}'}, "body", "which is not known here"),
        ({"method": "POST", "body": '"' + "x" * 70_000 + '"'}, "body", "at most 65536 bytes"),
        ({"headers": (("Host", "a"),)}, "headers.Host", "no header that may be set"),
        ({"headers": (("a b", "c"),)}, "headers.a b", "no header that may be set"),
        ({"headers": (("A", "b\r\nC: d"),)}, "headers.A", "printable ASCII"),
        ({"headers": (("A", "b"),) * (MOST_HEADERS + 1)}, "headers", "at most 20"),
        ({"timeout": timedelta(minutes=2)}, "timeout_seconds", "1..60"),
    ],
)
def test_what_may_not_be_asked_is_refused_by_its_field(changes, field, rule):
    assert rule in violations(**changes)[f"gates.1.web.{field}"]


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://other.example.com/score", "other.example.com:443 is not an allowed host"),
        ("http://eval.example.com@evil.example/score", "must not hold a user"),
        ("ftp://eval.example.com/score", "must be a URL"),
        ("https://eval.example.com/a b", "must be a URL"),
        ("https://127.1/score", "by an address in its usual form"),
    ],
)
def test_a_url_that_leads_elsewhere_is_refused(url, rule):
    found = list(web_gate_violations((ERRORS, gate(url=url)), ALLOWED))
    assert {violation.field for violation in found} == {"gates.1.web.url"}
    assert any(rule in violation.rule for violation in found)


def test_a_placeholder_does_not_keep_a_url_from_being_allowed():
    asked = replace(ASKED, url=f"{ASKED.url}?m={{{{candidate.workload}}}}")
    assert list(host_violations("web", asked, ALLOWED)) == []


def test_without_an_allowed_host_nothing_is_asked():
    (violation,) = web_gate_violations((gate(),), AllowedHosts())
    assert violation.field == "gates.0.web"
    assert "TIDEGATE_HOOKS_ALLOWED_HOSTS" in violation.rule
    assert list(web_gate_violations((ERRORS, QUALITY), AllowedHosts())) == []
