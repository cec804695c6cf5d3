"""What comparing answers needs from outside."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from domain.comparison import Compared, Heard, SampleRequest
from domain.workloads import Workload


class Answers(Protocol):
    """Asks model servers, each at its own address: no gateway and no user lies between."""

    async def ask(self, workload: Workload, request: SampleRequest, *, within: timedelta) -> Heard:
        """Send the request once. A server that took it and failed over it is a Silence.

        Raises NotYet where the workload has no address, Unreachable where nobody takes a connection
        there: that is no answer, and whether a workload is ready is asked elsewhere. Whatever else
        it raises is about us, too, and says nothing about the workload.
        """


class ComparisonStore(Protocol):
    """Keeps what the answers of a rollout's sample have shown."""

    async def compared(self, rollout_id: UUID) -> Sequence[Compared]:
        """All results so far, by their sequence."""

    async def keep(self, rollout_id: UUID, compared: Compared) -> None:
        """Keep a result. The same one again is success.

        Another one of the same sequence, or of the same request, raises Contended: a second watcher
        is at work.
        """
