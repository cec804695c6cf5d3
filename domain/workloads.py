"""A model version on the cluster, and how it is doing."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Protocol(StrEnum):
    """What a model server speaks; it chooses the router. V1 and V2 are the predictive protocols."""

    OPENAI = "openai"
    V1 = "v1"
    V2 = "v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """One of several models of a workload. `mount` is the directory that it is found in."""

    mount: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One immutable InferenceService: a model version under a name of its own, never edited.

    Where it serves several versions, `artefacts` has them all, and `version_id` and `uri` are
    those of the first; where it serves one, `artefacts` is empty. `served_as` is the name that
    clients of a predictive model ask for.
    """

    name: str
    namespace: str
    project_id: UUID
    service_id: UUID
    version_id: UUID
    uri: str
    model_format: str
    runtime: str | None = None
    artefacts: tuple[Artefact, ...] = ()
    protocol: Protocol = Protocol.OPENAI
    served_as: str = ""


def served_as(protocol: Protocol, service: str) -> str:
    """The model name that the server itself answers to; OpenAI's is rewritten at the gateway."""
    return "" if protocol is Protocol.OPENAI else service


class WorkloadPhase(StrEnum):
    """FAILED is for good as far as the cluster can tell; LOADING may still take long."""

    READY = "ready"
    LOADING = "loading"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadStatus:
    phase: WorkloadPhase
    reason: str = ""
