"""Hooks: what a valid one is, and what they are sent."""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest

from domain.allowed_hosts import AllowedHosts
from domain.hooks import MOST_HOOKS, Hook, HookKind, hook_violations
from domain.notices import Notice, Situation, document
from domain.rollout import Entry, EventKind, Phase

ALLOWED = AllowedHosts.read("hooks.example.com,127.0.0.1:8080,[::1]:9000")
ASK = Hook(name="ask", kind=HookKind.CONFIRM_PROMOTION, url="https://hooks.example.com/ask?team=a")


def broken(*hooks, allowed=ALLOWED):
    return [(one.field, one.rule) for one in hook_violations(hooks, allowed)]


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com",
        "http://hooks.example.com:8080/a/b?c=d%20e",
        "HTTPS://HOOKS.EXAMPLE.COM/",
        "http://127.0.0.1:8080/",
        "http://[::1]:9000/",
    ],
)
def test_a_url_of_an_allowed_host_is_fine(url):
    assert broken(replace(ASK, url=url)) == []


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("ftp://hooks.example.com/", "must be a URL such as"),
        ("hooks.example.com", "must be a URL such as"),
        ("//hooks.example.com/", "must be a URL such as"),
        ("https:///path", "must be a URL such as"),
        ("https://hooks.example.com:99999/", "must be a URL such as"),
        ("https://[::1/", "must be a URL such as"),
        ("https://hooks.example.com/a b", "must be a URL such as"),
        ("https://hooks.example.com\\@evil.net/", "must be a URL such as"),
        ("https://hooks.example.com/\n", "must be a URL such as"),
        ("https://höoks.example.com/", "must be a URL such as"),
        (f"https://hooks.example.com/{'a' * 2048}", "must be a URL such as"),
        ("https://me:pw@hooks.example.com/", "must not hold a user"),
        ("https://hooks.example.com@evil.net/", "must not hold a user"),
        ("https://hooks.example.com/#top", "must not have a fragment"),
        ("http://127.1:8080/", "must name its host"),
        ("http://0x7f000001:8080/", "must name its host"),
        ("https://evil.net/", "evil.net:443 is not an allowed host"),
        ("http://127.0.0.1/", "127.0.0.1:80 is not an allowed host"),
        ("https://hooks.example.com.evil.net/", "is not an allowed host"),
    ],
)
def test_any_other_url_is_refused(url, rule):
    found = broken(replace(ASK, url=url))

    assert found[0][0] == "hooks.0.url"
    assert rule in found[0][1]


def test_a_refusal_does_not_repeat_the_path():
    (violation,) = broken(replace(ASK, url="https://evil.net/hunter2"))

    assert "hunter2" not in violation[1]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "Ask"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"timeout": timedelta(seconds=0.5)}, "timeout_seconds"),
        ({"timeout": timedelta(seconds=61)}, "timeout_seconds"),
        ({"retries": -1}, "retries"),
        ({"retries": 11}, "retries"),
        ({"ask_every": timedelta(0)}, "ask_every_seconds"),
        ({"ask_every": timedelta(hours=2)}, "ask_every_seconds"),
        ({"ask_for": timedelta(0)}, "ask_for_seconds"),
        ({"ask_for": timedelta(days=31)}, "ask_for_seconds"),
    ],
)
def test_a_broken_rule_is_named_with_its_field(change, field):
    ((found, _),) = broken(replace(ASK, **change))

    assert found == f"hooks.0.{field}"


@pytest.mark.parametrize(
    "change",
    [
        {"timeout": timedelta(seconds=1), "retries": 0, "ask_every": timedelta(seconds=1)},
        {"timeout": timedelta(seconds=60), "retries": 10, "ask_for": timedelta(days=30)},
    ],
)
def test_the_bounds_themselves_are_fine(change):
    assert broken(replace(ASK, **change)) == []


def test_names_are_unique_and_the_second_is_blamed():
    ((field, rule),) = broken(ASK, replace(ASK, kind=HookKind.EVENT))

    assert (field, rule) == ("hooks.1.name", "'ask' names another hook already")


def test_there_are_not_too_many_hooks():
    hooks = [replace(ASK, name=f"ask-{i}") for i in range(MOST_HOOKS + 1)]

    assert broken(*hooks[:-1]) == []
    assert broken(*hooks) == [("hooks", f"must be at most {MOST_HOOKS}")]


def test_without_an_allowed_host_there_are_no_hooks():
    assert broken(allowed=AllowedHosts()) == []
    ((field, rule),) = broken(ASK, allowed=AllowedHosts())

    assert field == "hooks"
    assert "switched off" in rule


def test_those_that_are_asked_are_the_ones_before_something_happens():
    assert {kind.value for kind in HookKind if kind.is_asked} == {
        "pre_rollout",
        "confirm_traffic_increase",
        "confirm_promotion",
        "confirm_step",
    }


def test_a_notice_becomes_the_json_that_receivers_were_promised():
    at = datetime(2026, 11, 25, 13, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=1)))
    notice = Notice(
        delivery="run.all.3",
        hook="all",
        kind=HookKind.EVENT,
        rollout_id=UUID(int=1),
        project_id=UUID(int=2),
        config_id=UUID(int=3),
        model="chat",
        situation=Situation(
            phase=Phase.PROGRESSING, step=2, weights={"stable": 90, "candidate": 10}
        ),
        reason="10.0 % of 1,000 requests observed",
        at=at,
        events=(
            Entry(
                key="run/7", kind=EventKind.SETTLED, message="settled", at=at, step=2,
                data={"secret": "not told"},
            ),
        ),
    )  # fmt: skip

    assert json.loads(json.dumps(document(notice))) == {
        "version": 1,
        "delivery": "run.all.3",
        "hook": "all",
        "kind": "event",
        "project_id": "00000000-0000-0000-0000-000000000002",
        "traffic_config_id": "00000000-0000-0000-0000-000000000003",
        "rollout_id": "00000000-0000-0000-0000-000000000001",
        "model": "chat",
        "phase": "progressing",
        "step": 2,
        "weights": {"stable": 90, "candidate": 10},
        "reason": "10.0 % of 1,000 requests observed",
        "at": "2026-11-25T12:00:00.123Z",
        "events": [
            {
                "kind": "settled",
                "message": "settled",
                "step": 2,
                "at": "2026-11-25T12:00:00.123Z",
            }
        ],
    }
