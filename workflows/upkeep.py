"""Keeps the traffic of a step as it is to be: put back after a change, divided anew in a trial."""

from dataclasses import replace

from temporalio.exceptions import ActivityError

from domain.errors import WorkloadFailed
from domain.plan import Plan
from domain.progress import Acted, ActState, Reallocate, Seen
from domain.steps import SetScale, SetWeights, Soak
from workflows.acts import Acts, failure_type, sees_replicas_join
from workflows.interruption import Interruption, or_interrupted
from workflows.standing import Standing


class Upkeep:
    def __init__(self, standing: Standing, acts: Acts, interruption: Interruption) -> None:
        self._standing, self._acts, self._interruption = standing, acts, interruption

    @property
    def _plan(self) -> Plan:
        return self._standing.plan

    async def put_back(self) -> None:
        """Write what is ours again after it was changed, and see the traffic obey."""
        standing = self._standing
        standing.must_put_back = False
        if not isinstance(standing.now_at, SetWeights | Soak | SetScale):
            return
        if isinstance(standing.now_at, SetScale) and not sees_replicas_join():
            return
        replicas = self._plan.replicas_at(standing.step)
        if replicas is not None:
            await self._interruption.unless_stopped(self._acts.order_replicas(replicas))
        traffic = standing.progress().traffic_in(self._plan)
        acted = await self._interruption.unless_stopped(
            self._acts.set_weights(traffic, insist=True)
        )
        if acted:
            self._begin_anew(acted, traffic)
        if acted and replicas is not None and sees_replicas_join():
            await self._see_back(replicas)

    async def settle_again(self) -> bool:
        """Look once more whether a soak's traffic obeys: a gateway may only have been late.

        False where something came up meanwhile.
        """
        standing, news = self._standing, self._standing.news
        traffic = standing.progress().traffic_in(self._plan)
        settling = self._acts.settle(traffic)
        acted = await self._interruption.unless_stopped(settling, heeds_news=True)
        if acted and acted.state is not ActState.DISOBEYED:
            self._begin_anew(acted, traffic)
        return standing.news == news

    def _begin_anew(self, acted: Acted, traffic: SetWeights) -> None:
        """Take down how the traffic of a step has settled once more."""
        standing = self._standing
        standing.put_backs += 1
        if standing.progress().arms_in(self._plan):
            self._go_on_with(acted, traffic)
        else:
            standing.acted, standing.seen = standing.settled(acted, traffic), Seen()

    async def _see_back(self, replicas: int) -> None:
        """See replicas join again, with the weights in force: a watch would see them missing.

        In a soak it is for the watch to judge whether those that did not are needed.
        """
        within = self._plan.policies.deploy_deadline
        joined = await self._interruption.unless_stopped(self._acts.see_replicas(replicas, within))
        if isinstance(self._standing.now_at, SetScale):
            self._standing.acted = self._standing.scaled(or_interrupted(joined))

    async def divide(self, decision: Reallocate) -> None:
        """Divide a trial's traffic anew, and see it obey; the trial goes on by its own clock."""
        standing, traffic = self._standing, decision.traffic
        standing.divided(decision)
        write = self._acts.take_out if decision.leaving else self._acts.set_weights
        try:
            acted = await self._interruption.unless_stopped(write(traffic))
        except ActivityError as error:
            if failure_type(error) != WorkloadFailed.__name__:
                raise
            # Who was to get more cannot serve: the watch finds that, and the trial is without it.
            standing.traffic = standing.in_force
            standing.look_afresh()
            return
        if acted:
            self._go_on_with(acted, traffic)

    def _go_on_with(self, acted: Acted, traffic: SetWeights) -> None:
        """Take down how a division has settled; how long the trial has gone on is left alone."""
        standing = self._standing
        since = standing.acted.at
        standing.acted = replace(standing.settled(acted, traffic), at=since)
        standing.look_afresh()
