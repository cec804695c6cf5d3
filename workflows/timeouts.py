"""Every timeout and retry policy of the workflows, named."""

from datetime import timedelta
from typing import TypedDict

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.workflow import ActivityCancellationType

from domain.hooks import Hook
from workflows.messages import watchers_of


class Options(TypedDict, total=False):
    """The keyword arguments of an activity call."""

    task_queue: str
    schedule_to_close_timeout: timedelta
    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType
    priority: Priority


# Writes must converge: tried for ever, never given up half-way. A cancelled one ends before
# anything else is written, so that a rollback cannot overlap the write that it undoes.
WRITE = Options(
    start_to_close_timeout=timedelta(seconds=15),
    heartbeat_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=250), maximum_interval=timedelta(seconds=10)
    ),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# The way home: as a write, sooner tried again, and served before all other work.
WAY_HOME = Options(
    start_to_close_timeout=timedelta(seconds=10),
    heartbeat_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        backoff_coefficient=1.5,
        maximum_interval=timedelta(seconds=2),
    ),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    priority=Priority(priority_key=1),
)


# A write of a one-shot change: somebody waits for the answer, so that it is given up, and undone,
# after a while.
BRIEF_WRITE = Options(**WRITE, schedule_to_close_timeout=timedelta(seconds=20))

# What leaves the cluster is worth several tries, but holds up nobody for ever.
TIDY = Options(**WRITE, schedule_to_close_timeout=timedelta(minutes=2))

# How long a one-shot change looks for its weights in the requests before it believes the gateway
# alone, and how long it bears with requests that say otherwise.
CHANGE_IS_SEEN_WITHIN = timedelta(seconds=15)
CHANGE_SETTLES_WITHIN = timedelta(seconds=45)
CHANGE_PROBES_EVERY = timedelta(seconds=1)

# How long a variant may take to load for a one-shot change.
CHANGE_DEPLOYS_WITHIN = timedelta(minutes=30)

# Between the last weight and the removal: requests under way may end.
DRAIN = timedelta(seconds=5)

# How long the gateway may take to put each stage of a virtual model's change in force.
STAGE_SETTLES_WITHIN = timedelta(seconds=20)

# How soon a look is known to be dead. Seldom ones beat more seldom: with probes 15 s apart a beat
# each 1.7 s would cost as much as they.
LOOK_DIES_WITHIN = timedelta(seconds=5)
SELDOM_LOOK_DIES_WITHIN = timedelta(seconds=15)


def look(every: timedelta = timedelta(0)) -> Options:
    """Long looks, on the watchers' own queue so that they can never starve a rollback.

    They end by themselves, and start anew when they die; `every` is how often they look.
    """
    return Options(
        task_queue=watchers_of(workflow.info().task_queue),
        start_to_close_timeout=timedelta(days=2),
        heartbeat_timeout=max(LOOK_DIES_WITHIN, min(every, SELDOM_LOOK_DIES_WITHIN)),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10)
        ),
        cancellation_type=ActivityCancellationType.TRY_CANCEL,
    )


def removal(within: timedelta) -> Options:
    """Taking away what nobody waits behind: a cluster that never lets go is told as a failure.

    It is asked again when the call is repeated.
    """
    return Options(
        schedule_to_close_timeout=within,
        start_to_close_timeout=timedelta(seconds=15),
        heartbeat_timeout=timedelta(seconds=5),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(milliseconds=250), maximum_interval=timedelta(seconds=5)
        ),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


# The registry may be away for long; a rollout goes on without it and tells it later.
RECORD = Options(
    start_to_close_timeout=timedelta(seconds=15),
    heartbeat_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=250), maximum_interval=timedelta(seconds=15)
    ),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# What a call of a hook may take beside the hook's own time: the worker's.
HOOK_OVERHEAD = timedelta(seconds=5)
HOOK_IS_TRIED_AGAIN_WITHIN = timedelta(seconds=10)

# How long a rollout that is over stays open for what hooks have not been told yet.
HOOKS_ARE_TOLD_WITHIN = timedelta(seconds=30)


def telling(hook: Hook) -> Options:
    """One thing that a hook is told, on the watchers' queue: a slow one must not hold up writes."""
    tries, once = hook.retries + 1, hook.timeout + HOOK_OVERHEAD
    return Options(
        task_queue=watchers_of(workflow.info().task_queue),
        schedule_to_close_timeout=tries * (once + HOOK_IS_TRIED_AGAIN_WITHIN),
        start_to_close_timeout=once,
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=1),
            maximum_interval=HOOK_IS_TRIED_AGAIN_WITHIN,
            maximum_attempts=tries,
        ),
        cancellation_type=ActivityCancellationType.TRY_CANCEL,
    )


def asking(hook: Hook) -> Options:
    """A look for a hook's yes. It ends by itself, and starts anew when it dies.

    Should no worker take it up, its time ends here.
    """
    return Options(
        task_queue=watchers_of(workflow.info().task_queue),
        schedule_to_close_timeout=hook.ask_for + hook.timeout + HOOK_OVERHEAD,
        heartbeat_timeout=LOOK_DIES_WITHIN,
        retry_policy=RetryPolicy(
            initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10)
        ),
        cancellation_type=ActivityCancellationType.TRY_CANCEL,
    )


# How often a look reports though nothing happened: once soon after a step has begun, then ever more
# rarely the older the rollout, so that a week of any number of steps stays far below Temporal's
# limit of history events. Each carries all verdicts, half a megabyte where ten arms have twenty
# gates each: beyond so many bytes the more rarely, the larger the history, whose limit is 50 MB.
REPORT_AT_MOST_EVERY = timedelta(seconds=15)
REPORT_AT_LEAST_EVERY = timedelta(hours=2)
REPORTS_PER_AGE = 20
RARER_BEYOND_BYTES = 5_000_000

# How long an abort waits for the traffic to be home before it answers that it is on its way.
ABORT_ANSWERS_WITHIN = timedelta(seconds=8)

# The pause after a refusal that no retry policy would try again, on the way home.
INSIST_AGAIN_AFTER = timedelta(seconds=2)

# A settled rollback is worth waiting for, but not worth keeping a bad candidate's pods for ever.
ROLLBACK_SETTLES_WITHIN = timedelta(minutes=2)


def report_after(age_of_step: timedelta, age: timedelta, history_bytes: int) -> timedelta:
    """How long a look may stay silent in a step of this age, in a rollout of this age and size."""
    if age_of_step < REPORT_AT_MOST_EVERY:
        return REPORT_AT_MOST_EVERY
    often = max(REPORT_AT_MOST_EVERY, min(age / REPORTS_PER_AGE, REPORT_AT_LEAST_EVERY))
    return often * max(1, history_bytes / RARER_BEYOND_BYTES)
