"""docs/hooks.md: its tables, its example and its snippet are those of the code."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.webhook.notifier import LONGEST_DETAIL, MOST_BYTES, MOST_REDIRECTS
from adapters.webhook.signature import signed
from api.schemas.hooks import HookIn, hooks_of
from domain.allowed_hosts import AllowedHosts
from domain.hooks import (
    LONGEST_ASKING,
    LONGEST_ROUND,
    LONGEST_TIMEOUT,
    MOST_HOOKS,
    MOST_RETRIES,
    SHORTEST_ROUND,
    SHORTEST_TIMEOUT,
    HookKind,
    hook_violations,
)
from domain.notices import DOCUMENT_VERSION, MOST_EVENTS, document
from tests.docs.pages import blocks, page, search, section, tables
from tests.notices import a_hook, a_notice
from workflows.timeouts import HOOKS_ARE_TOLD_WITHIN

TEXT = page("hooks")
KEY = "a key of the tests, secret to nobody"
BODY = b'{"version":1}'


def seconds(span):
    return f"{span.total_seconds():.0f}"


def test_every_kind_is_told_with_whether_it_is_waited_for():
    (kinds,) = tables(section(TEXT, "Kinds"))

    assert {row[0]: row[2] for row in kinds} == {
        str(kind): "until it says yes" if kind.is_asked else "no" for kind in HookKind
    }


def test_every_field_is_told_with_its_default_and_bounds():
    _, fields = tables(section(TEXT, "Answers"))
    told = {row[0].split(",")[0].strip("`"): (row[1], row[2]) for row in fields}
    timeout = f"{seconds(SHORTEST_TIMEOUT)} to {seconds(LONGEST_TIMEOUT)}"
    bounds = {
        "timeout_seconds": timeout,
        "retries": f"0 to {MOST_RETRIES}",
        "ask_every_seconds": f"{seconds(SHORTEST_ROUND)} to {seconds(LONGEST_ROUND)}",
        "ask_for_seconds": f"{seconds(SHORTEST_ROUND)} to {seconds(LONGEST_ASKING)}",
    }

    assert told == {
        name: (f"{info.default:.0f}", bounds[name])
        for name, info in HookIn.model_fields.items()
        if not info.is_required()
    }


def test_the_example_of_a_rollout_s_hooks_is_valid():
    given = json.loads(blocks(TEXT, "json")[0])["hooks"]
    hooks = hooks_of(HookIn.model_validate(one) for one in given)

    assert list(hook_violations(hooks, AllowedHosts.read("hooks.example.com"))) == []


def test_the_example_of_what_is_sent_has_the_fields_that_are_sent():
    told = json.loads(blocks(TEXT, "json")[1])
    sent = document(a_notice(a_hook()))

    assert list(told) == list(sent)
    assert told["version"] == DOCUMENT_VERSION
    assert {name: type(value) for name, value in told.items()} == {
        name: type(value) for name, value in sent.items()
    }


def test_the_entries_of_the_example_are_allowed_hosts():
    (value,) = search(r"TIDEGATE_HOOKS_ALLOWED_HOSTS=(\S+)", TEXT)

    assert AllowedHosts.read(value).permits("board.hooks.svc.cluster.local", 8080)


def test_the_numbers_in_the_text_are_those_of_the_code():
    assert search(r"at most (\d+) hooks", TEXT) == (str(MOST_HOOKS),)
    assert search(r"in order, (\d+) at most", TEXT) == (str(MOST_EVENTS),)
    assert search(r"its first (\d+) characters", TEXT) == (str(LONGEST_DETAIL),)
    assert search(r"No more than (\d+) KiB", TEXT) == (str(MOST_BYTES // 1024),)
    assert search(r"left to tell for (\d+) s", TEXT) == (seconds(HOOKS_ARE_TOLD_WITHIN),)
    assert search(r"same host, (\w+) times", TEXT) == ("three",)
    assert MOST_REDIRECTS == 3


@pytest.fixture
def is_from_tidegate():
    (snippet,) = blocks(TEXT, "python")
    names: dict[str, Any] = {}
    exec(compile(snippet, "docs/hooks.md", "exec"), names)  # noqa: S102 - what a reader would paste
    return names["is_from_tidegate"]


def headers(age_seconds=0, key=KEY, body=BODY):
    return signed(key.encode(), body, datetime.fromtimestamp(time.time() - age_seconds, UTC))


def test_the_snippet_believes_what_we_send(is_from_tidegate):
    assert is_from_tidegate(headers(), BODY, KEY)
    assert is_from_tidegate(headers(age_seconds=200), BODY, KEY)


FORGED = {
    "another key": lambda: headers(key="another key"),
    "another body": lambda: headers(body=b'{"version":2}'),
    "long ago": lambda: headers(age_seconds=400),
    "from the future": lambda: headers(age_seconds=-400),
    "no time": lambda: headers() | {"Tidegate-Timestamp": "soon"},
    "another time": lambda: headers() | {"Tidegate-Timestamp": str(int(time.time()) + 100)},
    "no signature": lambda: headers() | {"Tidegate-Signature": ""},
    "not ASCII": lambda: headers() | {"Tidegate-Signature": "v1=ü"},
    "no headers": dict,
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_the_snippet_believes_nothing_else(is_from_tidegate, forged):
    assert not is_from_tidegate(forged(), BODY, KEY)
