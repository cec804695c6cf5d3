"""The hooks of a rollout, as it is asked for and as it is shown."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field

from api.schemas.fields import Incoming, Label, Outgoing, Seconds, Uri
from domain.hooks import MOST_RETRIES, Hook, HookKind

_HOOK = Hook(name="default", kind=HookKind.EVENT, url="")
Retries = Annotated[int, Field(strict=True, ge=0, le=MOST_RETRIES)]


class HookIn(Incoming):
    """A URL that is asked, or told, at one kind of moment of the rollout."""

    name: Label = Field(description="An RFC 1123 label, unique among the rollout's hooks.")
    kind: HookKind = Field(
        description="pre_rollout and those that confirm are asked, and hold the rollout until they "
        "say yes; post_rollout, rollback and event are told."
    )
    url: Uri = Field(description="http or https, at a host that the installation allows.")
    timeout_seconds: Seconds = Field(
        default=_HOOK.timeout.total_seconds(), description="For one call, in full; 1 to 60."
    )
    retries: Retries = Field(
        default=_HOOK.retries,
        description="How often one that is told is tried again after trouble.",
    )
    ask_every_seconds: Seconds = Field(
        default=_HOOK.ask_every.total_seconds(),
        description="How long after a no, or trouble, one that is asked is asked again.",
    )
    ask_for_seconds: Seconds = Field(
        default=_HOOK.ask_for.total_seconds(),
        description="How long one that is asked has for its yes, in all.",
    )

    def to_domain(self) -> Hook:
        return Hook(
            name=self.name,
            kind=self.kind,
            url=self.url,
            timeout=timedelta(seconds=self.timeout_seconds),
            retries=self.retries,
            ask_every=timedelta(seconds=self.ask_every_seconds),
            ask_for=timedelta(seconds=self.ask_for_seconds),
        )


class HookOut(Outgoing):
    name: str
    kind: HookKind
    url: str
    timeout_seconds: float
    retries: int
    ask_every_seconds: float
    ask_for_seconds: float

    @classmethod
    def from_domain(cls, hook: Hook) -> Self:
        return cls(
            name=hook.name,
            kind=hook.kind,
            url=hook.url,
            timeout_seconds=hook.timeout.total_seconds(),
            retries=hook.retries,
            ask_every_seconds=hook.ask_every.total_seconds(),
            ask_for_seconds=hook.ask_for.total_seconds(),
        )


def hooks_of(bodies: Iterable[HookIn]) -> tuple[Hook, ...]:
    return tuple(body.to_domain() for body in bodies)
