"""A rollout's events: the list, and the live stream."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from api.contract import READS, problems
from api.parts import Id, ProjectId, WithParts
from api.rendering import rendered
from api.routes import PREFIX
from api.schemas.events import EventOut, Events
from api.stream import EVENT_STREAM, EventStream, told

router = APIRouter(prefix=PREFIX, tags=["rollouts"])
_LARGEST_ID = 2**63 - 1


@router.get(
    "/rollouts/{rollout_id}/events",
    response_model=Events,
    responses={
        200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}},
        **problems(*READS),
    },
    summary="What has happened, and what happens",
    description=(
        "A list; or, with `Accept: text/event-stream` or `follow=true`, server-sent events that go "
        "on until the rollout's last one. Comments are heartbeats; `Last-Event-ID` continues."
    ),
)
async def rollout_events(  # noqa: PLR0917 - FastAPI calls it by name
    parts: WithParts,
    project: ProjectId,
    rollout_id: Id,
    after: Annotated[int, Query(ge=0, le=_LARGEST_ID, description="Only later events.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500, description="Events a list.")] = 100,
    follow: Annotated[bool, Query(description="Stream them as they happen.")] = False,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
    last_event_id: Annotated[
        int | None, Header(alias="Last-Event-ID", ge=0, le=_LARGEST_ID)
    ] = None,
) -> Response:
    await parts.registry.rollout(project, rollout_id)
    if follow or EVENT_STREAM in accept:
        start = after if last_event_id is None else last_event_id
        return EventStream(told(parts.registry, project, rollout_id, after=start))
    # One more than is told says whether there are more.
    found = await parts.registry.events(project, rollout_id, after=after, limit=limit + 1)
    items = [EventOut.from_domain(event) for event in found[:limit]]
    more = items[-1].id if len(found) > limit else None
    return rendered(Events(items=items, page_size=limit, next_after=more))
