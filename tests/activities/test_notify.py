"""Telling and asking hooks: how often, until when, and what counts as a yes."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities import heartbeats
from activities.notify import CallOrder, ConfirmOrder, NotifyActivities
from domain.errors import Forbidden, Unreachable
from domain.hooks import HookKind
from domain.notices import Said
from tests.fakes.notifier import NO, YES, ScriptedNotifier
from tests.notices import a_hook, a_notice

ASK = a_hook(ask_every=timedelta(milliseconds=5))
LONG, PAST = timedelta(minutes=5), timedelta(0)


@pytest.fixture
def notifier():
    return ScriptedNotifier()


@pytest.fixture
def notify(notifier):
    return NotifyActivities(notifier)


def order(within=LONG, hook=ASK):
    return ConfirmOrder(hook=hook, notice=a_notice(hook), deadline=datetime.now(UTC) + within)


async def confirm(notify, asked):
    return await ActivityEnvironment().run(notify.confirm, asked)


async def test_a_call_gives_the_answer_back(notify, notifier):
    hook = a_hook("after", HookKind.POST_ROLLOUT)
    notifier.script("after", NO)

    answer = await notify.call(CallOrder(hook=hook, notice=a_notice(hook)))

    assert answer.said is Said.NO
    assert [notice.delivery for notice in notifier.heard] == ["run.after.1"]


async def test_trouble_with_a_call_is_the_policy_s_business(notify, notifier):
    hook = a_hook("after", HookKind.POST_ROLLOUT)
    notifier.script("after", Unreachable("after answered 503"))

    with pytest.raises(Unreachable):
        await notify.call(CallOrder(hook=hook, notice=a_notice(hook)))


async def test_a_yes_confirms(notify):
    confirmation = await confirm(notify, order())

    assert (confirmation.said, confirmation.detail) == (True, "ask answered 200")


async def test_it_is_asked_again_until_it_says_yes_and_always_under_the_same_name(notify, notifier):
    notifier.script("ask", NO, Unreachable("ask answered 503"), Forbidden("not allowed"), NO, YES)

    assert (await confirm(notify, order())).said
    assert notifier.calls == ["ask"] * 5
    assert {notice.delivery for notice in notifier.heard} == {"run.ask.1"}


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (NO, "ask answered 409: not now"),
        (Unreachable("ask answered 503"), "ask answered 503"),
        (Forbidden("hooks.example.com:443 is not an allowed host"), "is not an allowed host"),
    ],
)
async def test_without_a_yes_in_time_the_last_reason_is_told(notify, notifier, answer, detail):
    notifier.script("ask", answer)

    confirmation = await confirm(notify, order(within=PAST))

    assert not confirmation.said
    assert detail in confirmation.detail
    assert notifier.calls == ["ask"]


async def test_what_stands_in_the_way_is_shown_while_it_is_asked(notify, notifier):
    notifier.script("ask", NO)
    beat = [""]
    heartbeats._saying.set(beat)

    await notify.confirm(order(within=PAST))

    assert beat == ["ask answered 409: not now"]


async def test_the_deadline_ends_the_wait_between_two_questions(notify, notifier):
    notifier.script("ask", NO)
    patient = a_hook(ask_every=timedelta(hours=1))

    confirmation = await confirm(notify, order(within=timedelta(milliseconds=20), hook=patient))

    assert not confirmation.said
    assert set(notifier.calls) == {"ask"}


async def test_a_cancel_ends_the_asking_at_once(notify, notifier):
    notifier.script("ask", NO)
    environment = ActivityEnvironment()
    asking = asyncio.create_task(
        environment.run(notify.confirm, order(hook=a_hook(ask_every=timedelta(hours=1))))
    )
    while not notifier.calls:  # noqa: ASYNC110 - the fake keeps plain values
        await asyncio.sleep(0.005)

    environment.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
