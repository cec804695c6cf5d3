"""Writing down what happened."""

from uuid import uuid4

import pytest

from activities.record import RecordActivities, RecordOrder
from domain.errors import Conflict, TransientError
from domain.ports import Journal


class RefusingJournal(Journal):
    async def record(self, rollout_id, entries):
        raise Conflict("the weights sum to 80")

    async def service_state(self, service_id, state, reason, gone=()):
        raise NotImplementedError

    async def forget_service(self, service_id):
        raise NotImplementedError

    async def config_status(self, config_id, status, reason):
        raise NotImplementedError

    async def operation_ended(self, operation_id, ending):
        raise NotImplementedError


async def test_a_refused_history_may_be_told_again():
    activities = RecordActivities(RefusingJournal())

    with pytest.raises(TransientError, match="refuses the history: the weights sum to 80"):
        await activities.rollout(RecordOrder(rollout_id=uuid4(), entries=()))
