"""Writing down what happened."""

from uuid import uuid4

import pytest

from activities.record import RecordActivities, RecordOrder
from domain.errors import Conflict, TransientError


class RefusingJournal:
    async def record(self, rollout_id, entries):
        raise Conflict("the weights sum to 80")


async def test_a_refused_history_may_be_told_again():
    activities = RecordActivities(RefusingJournal())

    with pytest.raises(TransientError, match="refuses the history: the weights sum to 80"):
        await activities.rollout(RecordOrder(rollout_id=uuid4(), entries=()))
