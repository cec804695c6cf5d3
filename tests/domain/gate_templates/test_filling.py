"""Filling templates in: each placeholder becomes its value, and nothing else changes."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidSpec
from domain.gate_templates.arguments import LONGEST_TEXT
from domain.gate_templates.filling import LONGEST_FILLED, filled, pinned, tried
from domain.gate_templates.pins import PinnedArgument, TemplatePin, TemplateScope
from domain.gate_templates.template import (
    DEEPEST,
    LONGEST_DOCUMENT,
    TemplateContent,
    require_template,
)
from tests.gate_templates import a_content, a_template, an_argument

VALUES: dict[str, Any] = {"n": 0.5, "i": 3, "s": 'a"b', "yes": True, "no": False, "d": "1h30m"}
KINDS = {
    "n": "number", "i": "integer", "s": "string", "yes": "boolean", "no": "boolean",
    "d": "duration",
}  # fmt: skip
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab{} args."),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=20,
)


def content_of(*gates, **kinds):
    arguments = [an_argument(kind, name, example=VALUES[name]) for name, kind in kinds.items()]
    return TemplateContent(arguments=tuple(arguments), gates=gates)


def one(written, field="field"):
    """What a gate's field becomes."""
    (gate,) = filled(content_of({field: written}, **KINDS), VALUES, "t")
    return gate[field]


def broken(content, name="slo"):
    with pytest.raises(InvalidSpec) as found:
        require_template(name, content)
    return {violation.field: violation.rule for violation in found.value.violations}


@pytest.mark.parametrize("name", VALUES)
def test_a_placeholder_alone_becomes_the_value_with_its_type(name):
    for written in (f"{{{{args.{name}}}}}", f"{{{{ args.{name} }}}}"):
        made = one(written)
        assert made == VALUES[name]
        assert type(made) is type(VALUES[name])


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("over {{args.n}}", "over 0.5"),
        ("{{args.i}}{{args.i}}", "33"),
        ("{{args.yes}} {{args.no}}", "true false"),
        ("{{args.s}}!", 'a"b!'),
        (" {{args.n}}", " 0.5"),
        ("{{candidate.workload}} {{args.i}}", "{{candidate.workload}} 3"),
        (["{{args.i}}", {"a": "{{args.n}}"}], [3, {"a": 0.5}]),
        ("plain", "plain"),
        (None, None),
    ],
)
def test_a_placeholder_within_a_text_is_put_in_as_text(written, made):
    assert one(written) == made


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("rate(x[{{args.d}}]) > {{args.n}}", "rate(x[1h30m]) > 0.5"),
        ('x{a="{{args.s}}"}', 'x{a="a\\"b"}'),
        ("{{args.i}}", "3"),
        ('x{a="{{candidate.workload}}"} + {{args.i}}', 'x{a="{{candidate.workload}}"} + 3'),
    ],
)
def test_a_query_is_filled_in_as_promql_asks(written, made):
    assert one(written, "query") == made
    assert one([written], "query") == [made]


def test_a_value_that_a_query_cannot_take_is_refused_at_its_field():
    content = content_of({"name": "a"}, {"a": {"query": "x > {{args.s}}"}}, s="string")
    with pytest.raises(InvalidSpec) as found:
        filled(content, {"s": "1 or up"}, "gate_templates.2")
    (violation,) = found.value.violations
    assert violation.field == "gate_templates.2.gates.1.a.query"
    assert "outside of quotes" in violation.rule
    with pytest.raises(InvalidSpec, match=r"^gates\.1\.a\.query: "):
        tried(content)


def test_a_condition_stays_a_text():
    assert one("result < {{args.n}}", "success_condition") == "result < 0.5"
    assert one("{{args.n}}", "failure_condition") == "0.5"


def test_a_text_in_a_condition_is_refused():
    content = content_of({"success_condition": "result < {{args.s}}"}, s="string")
    assert broken(content) == {
        "gates.0.success_condition": (
            "has {{args.s}}, a string; in a condition only numbers may stand"
        )
    }
    require_template("slo", content_of({"success_condition": "result < {{args.n}}"}, n="number"))


@pytest.mark.parametrize("value", ["{{args.i}}", "{{candidate.name}}", "a {{"])
def test_a_value_is_no_placeholder_of_its_own(value):
    """Filled in, it would be one: of this template, or of the gate when it asks."""
    content = content_of({"a": "{{args.s}} {{args.i}}"}, s="string", i="integer")
    with pytest.raises(InvalidSpec, match=r"t\.arguments\.s: must not hold {{"):
        filled(content, {"s": value, "i": 3}, "t")


@given(PLAIN)
def test_what_holds_no_placeholder_stays_as_it_is(part):
    content = TemplateContent(gates=({"a": part},))
    assert filled(content, {}, "t") == [{"a": part}]


@given(st.text())
def test_any_text_is_put_in_whole(text):
    content = content_of({"a": "<{{args.s}}>"}, s="string")
    try:
        (gate,) = filled(content, {"s": text}, "t")
    except InvalidSpec as error:
        assert re.search("control characters|must not hold {{", str(error))  # noqa: PT017
    else:
        assert gate["a"] == f"<{text}>"


def test_wrong_arguments_are_told_all_at_once():
    with pytest.raises(InvalidSpec) as found:
        filled(
            content_of({"a": "{{args.n}}{{args.i}}"}, n="number", i="integer"),
            {"i": "x", "y": 1},
            "t",
        )
    fields = {violation.field for violation in found.value.violations}
    assert fields == {"t.arguments.n", "t.arguments.i", "t.arguments.y"}


@pytest.mark.parametrize(
    ("gate", "field", "rule"),
    [
        ({"a": "{{args.m}}"}, "gates.0.a", "has {{args.m}}, which is no declared argument"),
        ({"query": "x > {{args.m}}"}, "gates.0.query", "{{args.m}}, which is no declared"),
        ({"query": "x{a='"}, "gates.0.query", "unclosed"),
        ({"a": "{{args.n n}}"}, "gates.0.a", "which is no placeholder"),
        ({"a": "{{args.}}"}, "gates.0.a", "which is no placeholder"),
        ({"a": "{{args.n-n}}"}, "gates.0.a", "which is no placeholder"),
        ({"a": "{{args}}"}, "gates.0.a", "which is no placeholder"),
        ({"{{args.n}}": 1}, "gates.0", "a placeholder stands in values only"),
        ({"a": [{"b{{": 1}]}, "gates.0.a.0", "a placeholder stands in values only"),
        ({"a": float("nan")}, "gates.0.a", "must be a finite number"),
        ({"a": "\x00"}, "gates.0.a", "control characters"),
        ({"a\x00": 1}, "gates.0", "control characters"),
        ({"a": "\ud800"}, "gates.0.a", "control characters"),
    ],
)
def test_a_place_that_is_written_badly_is_refused(gate, field, rule):
    good = {"used": "{{args.n}}"}
    told = broken(content_of(gate | good, n="number"))
    assert rule in told.pop(field)
    assert told == {}


def test_an_argument_that_no_gate_uses_is_refused():
    told = broken(content_of({"query": "x # {{args.n}}", "a": "args.i"}, n="number", i="integer"))
    assert told == {
        "arguments.0": "'n' is used in no gate",
        "arguments.1": "'i' is used in no gate",
    }


@pytest.mark.parametrize("name", ["", "Slo", "a_b", "a" * 64, "-a", "a\n"])
def test_a_template_s_name_is_a_label(name):
    assert broken(a_content(), name).keys() == {"name"}


def test_there_is_a_gate_and_not_too_many():
    assert broken(TemplateContent(gates=())) == {"gates": "must be at least one"}
    assert broken(TemplateContent(gates=({},) * 21)) == {"gates": "must be at most 20"}


def test_a_document_has_bounds():
    def nested(levels):
        return {"a": nested(levels - 1)} if levels else 1

    require_template("slo", TemplateContent(gates=(nested(DEEPEST - 1),)))
    told = broken(TemplateContent(gates=(nested(DEEPEST),)))
    assert list(told.values()) == [f"must be at most {DEEPEST} levels deep"]
    told = broken(TemplateContent(gates=({"a": "x" * LONGEST_DOCUMENT},)))
    assert told == {"gates": "must be at most 64 KiB with all the rest"}


def test_what_is_filled_in_has_a_bound_too():
    often = LONGEST_FILLED // LONGEST_TEXT + 1
    content = content_of({"a": "{{args.s}}" * often}, s="string")
    require_template("slo", content)
    with pytest.raises(InvalidSpec, match=r"^t\.gates: must be at most 256 KiB when filled in"):
        filled(content, {"s": "x" * LONGEST_TEXT}, "t")


def test_a_template_is_tried_with_defaults_and_with_examples_else():
    arguments = (
        an_argument("number", "n", default=0.1, example=0.9),
        an_argument("integer", "i", example=7),
    )
    gates = ({"a": "{{args.n}}", "b": "{{args.i}}"},)
    assert tried(TemplateContent(arguments=arguments, gates=gates)) == [{"a": 0.1, "b": 7}]


@pytest.mark.parametrize("scope", TemplateScope)
def test_a_pin_says_what_was_used(scope):
    project = a_template(None).id if scope is TemplateScope.PROJECT else None
    template = a_template(project, version=4)
    assert pinned(template, {}) == TemplatePin(
        name="slo",
        scope=scope,
        version=4,
        arguments=(PinnedArgument(name="limit", value=0.02),),
    )
    (given,) = pinned(template, {"limit": 0.5}).arguments
    assert given.value == 0.5


@pytest.mark.parametrize("field", ["query", "success_condition"])
def test_what_a_question_sends_is_text_whatever_its_fields_are_called(field):
    sent = {field: "What's {{args.s}}?"}
    content = content_of({"web": {"body": sent}}, s="string")
    require_template("slo", content)
    (gate,) = filled(content, {"s": VALUES["s"]}, "t")
    assert gate["web"]["body"][field] == "What's a\"b?"
