"""A watch of days, played in the workflow's own time: what it costs is counted in its history.

A watch that is under way would hold the skipped clock still. This one asks to be tried again when
the real watch would return: the clock passes the wait between two tries, which leaves no event.
"""

from collections import Counter
from datetime import datetime

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

# What the skipping itself leaves in the history; no other server writes it.
_OF_THE_SKIPPING = "WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED"


def return_at(moment: datetime) -> None:
    """Let the watch that calls it go on only once the workflow's clock says so."""
    now = activity.info().current_attempt_scheduled_time
    if now < moment:
        raise ApplicationError(
            "not yet", next_retry_delay=moment - now, category=ApplicationErrorCategory.BENIGN
        )


def events_of(history: WorkflowHistory) -> Counter[str]:
    """How many events there are of each kind."""
    kinds = Counter(
        EventType.Name(each.event_type)[len("EVENT_TYPE_") :] for each in history.events
    )
    kinds.pop(_OF_THE_SKIPPING, None)
    return kinds
