"""The hooks of a rollout over HTTP: what is left out has defaults, nothing is lost on the way."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from api.schemas.hooks import HookIn, HookOut, hooks_of
from domain.hooks import Hook, HookKind

LEAST = {"name": "ask", "kind": "confirm_promotion", "url": "https://hooks.example.com/ask"}


def test_what_is_left_out_is_the_domain_s_default():
    (hook,) = hooks_of([HookIn.model_validate(LEAST)])

    assert hook == Hook(
        name="ask", kind=HookKind.CONFIRM_PROMOTION, url="https://hooks.example.com/ask"
    )


def test_what_is_shown_can_be_sent_again():
    hook = Hook(
        name="all",
        kind=HookKind.EVENT,
        url="http://hooks:8080/a?b=c",
        timeout=timedelta(seconds=2.5),
        retries=0,
        ask_every=timedelta(seconds=1),
        ask_for=timedelta(days=1),
    )

    shown = HookOut.from_domain(hook).model_dump(mode="json")

    assert HookIn.model_validate(shown).to_domain() == hook


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "approval"},
        {"url": "no url"},
        {"retries": 11},
        {"retries": True},
        {"timeout_seconds": -1},
        {"timeout": "10s"},
    ],
)
def test_what_is_no_hook_is_refused(change):
    with pytest.raises(ValidationError):
        HookIn.model_validate(LEAST | change)
