"""A cluster that runs workloads as a test tells it to."""

from collections import defaultdict, deque
from dataclasses import dataclass

from domain.errors import NotYet, Refused, TidegateError
from domain.ports import WorkloadRuntime
from domain.traffic import Drift
from domain.workloads import Workload, WorkloadPhase, WorkloadStatus
from tests.fakes.faults import Faults

READY = WorkloadStatus(phase=WorkloadPhase.READY)
MISSING = WorkloadStatus(phase=WorkloadPhase.MISSING, reason="there is no such InferenceService")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    method: str
    workload: str


class ScriptedRuntime(WorkloadRuntime):
    """Workloads are ready at once, with all replicas that were asked for, unless scripted otherwise.

    `calls` keeps deploys, scalings and removals. `room` is how many replicas of each can be ready.
    """

    def __init__(self) -> None:
        self.deployed: dict[tuple[str, str], Workload] = {}
        self.replicas: dict[str, int] = {}
        self.room = 1000
        self.calls: list[Call] = []
        self._scripts: dict[str, deque[WorkloadStatus]] = defaultdict(deque)
        self._looks: dict[int | None, int] = defaultdict(int)
        self._faults = Faults()

    def looked_for(self, replicas: int) -> int:
        """How often it was asked whether so many replicas are ready."""
        return self._looks[replicas]

    def script(self, name: str, *statuses: WorkloadStatus) -> None:
        """Answer these for the workload of that name, one a call; the last one stays."""
        self._scripts[name] = deque(statuses)

    def fail(self, method: str, *errors: TidegateError) -> None:
        """Raise these on the next calls of that method."""
        self._faults.plan(method, errors)

    def outage(self, method: str, error: TidegateError | None) -> None:
        """Raise this on every call of the method, until None."""
        self._faults.stand(method, error)

    def lose(self, workload: Workload) -> None:
        """Delete it behind the engine's back."""
        self._gone(workload)

    async def deploy(self, workload: Workload) -> None:
        self._faults.strike("deploy")
        held = self.deployed.setdefault((workload.namespace, workload.name), workload)
        if held != workload:
            raise Refused(f"InferenceService {workload.name} stands with another spec")
        self.calls.append(Call(method="deploy", workload=workload.name))

    async def status(self, workload: Workload, replicas: int | None = None) -> WorkloadStatus:
        self._looks[replicas] += 1
        self._faults.strike("status")
        if (workload.namespace, workload.name) not in self.deployed:
            return MISSING
        script = self._scripts[workload.name]
        status = script.popleft() if len(script) > 1 else script[0] if script else READY
        joined = min(self.replicas.get(workload.name, 1), self.room)
        if status.phase is WorkloadPhase.READY and replicas is not None and joined < replicas:
            reason = f"{joined} of {replicas} replicas are ready"
            return WorkloadStatus(phase=WorkloadPhase.LOADING, reason=reason)
        return status

    async def scale(self, workload: Workload, replicas: int) -> None:
        self._faults.strike("scale")
        if (workload.namespace, workload.name) not in self.deployed:
            raise NotYet(f"InferenceService {workload.name} is not there to be scaled")
        self.replicas[workload.name] = replicas
        self.calls.append(Call(method="scale", workload=workload.name))

    async def drift(self, workload: Workload, replicas: int | None) -> Drift | None:
        self._faults.strike("drift")
        if (workload.namespace, workload.name) not in self.deployed:
            return None
        have = self.replicas.get(workload.name, 1)
        if replicas in (None, have):
            return None
        return Drift(
            field=f"InferenceService {workload.name} spec.predictor.minReplicas",
            expected=str(replicas),
            found=str(have),
        )

    def tamper(self, workload: Workload, replicas: int) -> None:
        """Scale it behind the engine's back."""
        self.replicas[workload.name] = replicas

    async def remove(self, workload: Workload) -> None:
        self._faults.strike("remove")
        self._gone(workload)
        self.calls.append(Call(method="remove", workload=workload.name))

    def _gone(self, workload: Workload) -> None:
        """Deployed again it has one replica."""
        self.deployed.pop((workload.namespace, workload.name), None)
        self.replicas.pop(workload.name, None)
