"""Logs: a message is one line, whatever is in it."""

import json
import logging

import pytest

from bootstrap.telemetry import JsonLine, TextLine


@pytest.fixture
def record():
    def make(message="moved", **fields):
        made = logging.LogRecord("tidegate.test", logging.WARNING, "f.py", 1, message, (), None)
        vars(made).update(fields)
        made.created = 0.25
        return made

    return make


def test_text_ends_in_its_fields(record):
    line = TextLine().format(record(rollout="r1", weight=10, reason="two words"))
    head = "1970-01-01T00:00:00.250+00:00 warning tidegate.test moved"
    assert line == f'{head} rollout=r1 weight=10 reason="two words"'


def test_json_is_one_object(record):
    line = JsonLine().format(record(weight=10))
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.250+00:00",
        "level": "warning",
        "logger": "tidegate.test",
        "message": "moved",
        "weight": 10,
    }


@pytest.mark.parametrize("form", [TextLine, JsonLine])
def test_a_message_cannot_forge_a_second_line(record, form):
    line = form().format(record("one\ntwo", field="three\nfour"))
    assert "\n" not in line


@pytest.mark.parametrize("form", [TextLine, JsonLine])
def test_an_exception_stays_on_the_line(record, form):
    error = ValueError("broken")
    line = form().format(record(exc_info=(ValueError, error, None)))
    assert "ValueError: broken" in line
    assert "\n" not in line
