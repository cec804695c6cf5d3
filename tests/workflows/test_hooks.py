"""Hooks of a workflow: those that are asked can be interrupted, those that are told hold up nothing."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, Worker

from activities.failures import DomainFailures
from activities.heartbeats import Heartbeats
from activities.notify import NotifyActivities
from bootstrap.sandboxing import workflow_runner
from domain.errors import Forbidden, Unreachable
from domain.hooks import HookKind
from domain.rollout import Entry, EventKind
from tests.fakes.notifier import NO, YES, ScriptedNotifier
from tests.notices import NOON, SITUATION, a_hook
from tests.plans import route, variant
from tests.workflows.hooked import HookedWorkflow, Scene
from tests.workflows.stage import methods
from workflows.messages import watchers_of
from workflows.timeouts import HOOKS_ARE_TOLD_WITHIN

AFTER = a_hook("after", HookKind.POST_ROLLOUT)
HOME = a_hook("home", HookKind.ROLLBACK)
ALL = a_hook("all", HookKind.EVENT)
OFTEN = {"ask_every": timedelta(milliseconds=10)}
ASK = a_hook("ask", HookKind.CONFIRM_PROMOTION, **OFTEN)
SOON = timedelta(seconds=1)
ROLLOUT = UUID(int=7)


class Stuck(ScriptedNotifier):
    """Hooks that are named in `stuck` do not answer until they are let go.

    For those in `broken` the activity itself fails, as it does for a bug of ours or without workers.
    """

    def __init__(self):
        super().__init__()
        self.stuck = {}
        self.broken = set()

    def hold(self, hook):
        self.stuck[hook] = asyncio.Event()

    def let_go(self, hook):
        self.stuck.pop(hook).set()

    async def call(self, hook, notice):
        if hook.name in self.stuck:
            self.calls.append(hook.name)
            await self.stuck[hook.name].wait()
        if hook.name in self.broken:
            raise ApplicationError("a bug", non_retryable=True)
        return await super().call(hook, notice)


class Hooked:
    """A rollout that is nothing but its hooks."""

    def __init__(self, client):
        self.client = client
        self.queue = f"hooks-{uuid4()}"
        self.notifier = Stuck()
        self.route = route()
        self.handle: Any = None

    async def start(self, *hooks, told_within=HOOKS_ARE_TOLD_WITHIN):
        scene = Scene(
            hooks=hooks, route=self.route, rollout_id=ROLLOUT, situation=SITUATION,
            told_within=told_within,
        )  # fmt: skip
        self.handle = await self.client.start_workflow(
            HookedWorkflow.run, scene, id=self.queue, task_queue=self.queue
        )

    async def announce(self, kind):
        await self.handle.signal(HookedWorkflow.announce, kind)

    async def happened(self, *messages):
        entries = [
            Entry(
                key=message, kind=EventKind.SETTLED, message=message, at=NOON, step=2,
                joined=variant("candidate", 1, "v2"), data={"count": 1},
            )
            for message in messages
        ]  # fmt: skip
        await self.handle.signal(HookedWorkflow.happened, entries)

    async def confirm(self, hook=ASK):
        return await self.handle.execute_update(HookedWorkflow.confirm, hook)

    async def end(self):
        await self.handle.signal(HookedWorkflow.end)
        return await self.handle.result()

    async def given_up(self):
        return await self.handle.query(HookedWorkflow.given_up)

    async def until(self, happened):
        for _ in range(600):
            if happened():
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"waited in vain; called: {self.notifier.calls}")

    async def scheduled(self):
        """The activities that were ever ordered."""
        history = await self.handle.fetch_history()
        return [
            event.activity_task_scheduled_event_attributes
            for event in history.events
            if event.HasField("activity_task_scheduled_event_attributes")
        ]

    async def replays(self):
        replayer = Replayer(
            workflows=[HookedWorkflow],
            workflow_runner=workflow_runner(),
            data_converter=self.client.data_converter,
        )
        await replayer.replay_workflow(await self.handle.fetch_history())


@pytest.fixture
async def hooked(skipping):
    made = Hooked(skipping.client)
    common: dict[str, Any] = {
        "interceptors": [Heartbeats(), DomainFailures()],
        "max_heartbeat_throttle_interval": SOON,
    }
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            Worker(
                made.client, task_queue=made.queue, workflows=[HookedWorkflow],
                workflow_runner=workflow_runner(), **common,
            )
        )  # fmt: skip
        await stack.enter_async_context(
            Worker(
                made.client, task_queue=watchers_of(made.queue),
                activities=methods(NotifyActivities(made.notifier)), **common,
            )
        )  # fmt: skip
        yield made
        for hook in list(made.notifier.stuck):
            made.notifier.let_go(hook)
        await made.replays()


async def test_a_hook_is_told_what_its_kind_is_about(hooked):
    await hooked.start(AFTER, HOME, ASK)

    await hooked.announce(HookKind.ROLLBACK)
    assert await hooked.end() == []

    (notice,) = hooked.notifier.heard
    assert (notice.hook, notice.kind, notice.reason) == (
        "home",
        HookKind.ROLLBACK,
        "told of rollback",
    )
    assert notice.situation == SITUATION
    assert (notice.rollout_id, notice.model) == (ROLLOUT, "chat")
    assert (notice.project_id, notice.config_id) == (
        hooked.route.project_id,
        hooked.route.config_id,
    )


async def test_hooks_are_called_beside_the_watches_and_not_among_the_writes(hooked):
    await hooked.start(HOME, ASK)
    await hooked.announce(HookKind.ROLLBACK)
    await hooked.confirm()
    await hooked.end()

    queues = {one.task_queue.name for one in await hooked.scheduled()}

    assert queues == {watchers_of(hooked.queue)}


async def test_trouble_is_tried_again_under_the_same_name(hooked):
    hooked.notifier.script("home", Unreachable("home answered 503"), Unreachable("again"), YES)
    await hooked.start(HOME)

    await hooked.announce(HookKind.ROLLBACK)

    assert await hooked.end() == []
    assert hooked.notifier.calls == ["home"] * 3
    assert len(hooked.notifier.heard) == 1


@pytest.mark.parametrize(
    ("answer", "calls", "why"),
    [
        (Unreachable("home answered 503"), 3, "home: home answered 503"),
        (Forbidden("not an allowed host"), 1, "home: not an allowed host"),
        (NO, 1, "home: home answered 409: not now"),
    ],
)
async def test_what_a_hook_could_not_be_told_is_given_up_and_said(hooked, answer, calls, why):
    hooked.notifier.script("home", answer)
    await hooked.start(HOME)

    await hooked.announce(HookKind.ROLLBACK)

    assert await hooked.end() == [why]
    assert hooked.notifier.calls == ["home"] * calls


async def test_a_hook_that_does_not_answer_holds_up_neither_another_nor_the_end(hooked):
    hooked.notifier.hold("all")
    await hooked.start(ALL, HOME, told_within=timedelta(milliseconds=50))
    await hooked.happened("settled")
    await hooked.until(lambda: "all" in hooked.notifier.calls)

    await hooked.announce(HookKind.ROLLBACK)
    await hooked.until(lambda: hooked.notifier.heard_by("home"))

    assert await hooked.end() == ["all: all was not told everything: the rollout is over"]
    assert hooked.notifier.heard_by("all") == []


async def test_what_happens_while_a_hook_is_told_goes_in_one_delivery(hooked):
    hooked.notifier.hold("all")
    await hooked.start(ALL)
    await hooked.happened("first")
    await hooked.until(lambda: "all" in hooked.notifier.calls)

    await hooked.happened("second", "third")
    await hooked.happened("fourth")
    hooked.notifier.let_go("all")
    assert await hooked.end() == []

    first, then = hooked.notifier.heard
    assert [entry.message for entry in first.events] == ["first"]
    assert [entry.message for entry in then.events] == ["second", "third", "fourth"]
    assert then.reason == "fourth"
    assert first.delivery != then.delivery
    assert all(entry.joined is None and entry.data == {} for entry in then.events)


async def test_a_delivery_holds_no_more_than_fifty_events(hooked):
    hooked.notifier.hold("all")
    await hooked.start(ALL)
    await hooked.happened(*(str(i) for i in range(1, 111)))
    await hooked.until(lambda: "all" in hooked.notifier.calls)
    hooked.notifier.let_go("all")
    assert await hooked.end() == []

    told = [[entry.message for entry in notice.events] for notice in hooked.notifier.heard]

    assert [len(events) for events in told] == [50, 50, 10]
    assert [message for events in told for message in events] == [str(i) for i in range(1, 111)]


async def test_without_hooks_nothing_is_ordered(hooked):
    await hooked.start()
    await hooked.announce(HookKind.POST_ROLLOUT)
    await hooked.happened("settled")

    assert await hooked.end() == []
    history = await hooked.handle.fetch_history()
    assert not [e for e in history.events if e.HasField("timer_started_event_attributes")]
    assert await hooked.scheduled() == []


async def test_a_hook_is_asked_until_it_says_yes(hooked):
    hooked.notifier.script("ask", NO, NO, YES)
    await hooked.start(ASK)

    confirmation = await hooked.confirm()

    assert (confirmation.said, confirmation.detail) == (True, "ask answered 200")
    assert hooked.notifier.calls == ["ask", "ask", "ask"]
    await hooked.end()


async def test_without_a_yes_in_time_it_is_a_no_that_names_who_said_it(hooked):
    impatient = a_hook(
        "never", HookKind.CONFIRM_PROMOTION, **OFTEN, ask_for=timedelta(milliseconds=50)
    )
    hooked.notifier.script("never", NO)
    await hooked.start(ASK, impatient)

    confirmation = await hooked.confirm(impatient)

    assert (confirmation.said, confirmation.detail) == (False, "never answered 409: not now")
    await hooked.end()


async def test_a_question_that_could_not_be_asked_is_a_no(hooked):
    hooked.notifier.broken.add("ask")
    await hooked.start(ASK)

    confirmation = await hooked.confirm()

    assert (confirmation.said, confirmation.detail) == (False, "ask was not asked: a bug")
    await hooked.end()


async def test_an_abort_ends_the_asking_at_once(hooked):
    hooked.notifier.script("ask", NO)
    await hooked.start(ASK)
    asking = asyncio.create_task(hooked.confirm())
    await hooked.until(lambda: hooked.notifier.calls)

    await hooked.handle.signal(HookedWorkflow.abort)

    assert (await asking).detail == "aborted"
    assert await hooked.end() == []


async def test_an_abort_does_not_wait_for_a_hook_that_does_not_answer(hooked):
    hooked.notifier.hold("ask")
    await hooked.start(ASK)
    asking = asyncio.create_task(hooked.confirm())
    await hooked.until(lambda: hooked.notifier.calls)

    await hooked.handle.signal(HookedWorkflow.abort)

    assert (await asking).detail == "aborted"
    assert "ask" in hooked.notifier.stuck
    await hooked.end()


async def test_each_question_has_a_name_of_its_own(hooked):
    await hooked.start(ASK, AFTER)
    await hooked.confirm()
    await hooked.confirm()
    await hooked.announce(HookKind.POST_ROLLOUT)
    await hooked.end()

    run = hooked.handle.first_execution_run_id
    assert [notice.delivery for notice in hooked.notifier.heard] == [
        f"{run}.ask.1",
        f"{run}.ask.2",
        f"{run}.after.3",
    ]
