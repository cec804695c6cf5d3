"""What happened, written down: the rollout's history and the registry's projection of it."""

from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from domain.errors import Contended, PermanentError
from domain.operations import Ending
from domain.ports import Journal
from domain.registry import ConfigStatus, ServiceState
from domain.rollout import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOrder:
    rollout_id: UUID
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStateOrder:
    service_id: UUID
    state: ServiceState
    reason: str
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetServiceOrder:
    service_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigStatusOrder:
    config_id: UUID
    status: ConfigStatus
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingOrder:
    operation_id: UUID
    ending: Ending


class RecordActivities:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @activity.defn(name="record.rollout")
    async def rollout(self, order: RecordOrder) -> None:
        """Write the entries down. A refusal counts as one that passes, too.

        Given up, the history would end here and the rollout would wait for it for ever; tried
        again it shows as pending, with its reason, until what stands in its way is repaired.
        """
        try:
            await self._journal.record(order.rollout_id, order.entries)
        except PermanentError as error:
            raise Contended(f"the registry refuses the history: {error}") from error

    @activity.defn(name="record.service_state")
    async def service_state(self, order: ServiceStateOrder) -> None:
        await self._journal.service_state(order.service_id, order.state, order.reason, order.gone)

    @activity.defn(name="record.forget_service")
    async def forget_service(self, order: ForgetServiceOrder) -> None:
        await self._journal.forget_service(order.service_id)

    @activity.defn(name="record.config_status")
    async def config_status(self, order: ConfigStatusOrder) -> None:
        await self._journal.config_status(order.config_id, order.status, order.reason)

    @activity.defn(name="record.operation_ended")
    async def operation_ended(self, order: EndingOrder) -> None:
        """End the operation. A refusal counts as one that passes: see `rollout`."""
        try:
            await self._journal.operation_ended(order.operation_id, order.ending)
        except PermanentError as error:
            raise Contended(f"the registry refuses the ending: {error}") from error
