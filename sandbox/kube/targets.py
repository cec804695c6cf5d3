"""What a request is about and how it is to be carried out: the words between HTTP and objects."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

from sandbox.kube.documents import Document
from sandbox.kube.resources import Resource


class Propagation(StrEnum):
    """What becomes of an object's dependents when it is deleted."""

    BACKGROUND = "Background"
    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"


class Named(TypedDict):
    group: str
    plural: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One object, or a collection where there is no name; no namespace where all are meant."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def named(self) -> Named:
        resource = self.resource
        return {"group": resource.group, "plural": resource.plural, "name": self.name}


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    manager: str
    is_dry_run: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOptions:
    propagation: Propagation = Propagation.BACKGROUND
    is_dry_run: bool = False
    uid: str | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    body: bytes
    is_new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An object about to be written: `before` is what is live there, empty where nothing is."""

    target: Target
    before: Document
    document: Document
