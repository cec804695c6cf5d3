"""Lists: how far to go, where to go on."""

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query

from api.schemas.fields import Outgoing
from domain.ports import Page

T = TypeVar("T")
LARGEST_PAGE = 100
_LAST_OFFSET = 2**31 - 1


class Listed(Outgoing, Generic[T]):
    """One page of a list. `next_offset` is null on the last one."""

    items: Sequence[T]
    total: int
    page_size: int
    next_offset: int | None


async def _page(
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Items a page.")] = 20,
    offset: Annotated[int, Query(ge=0, le=_LAST_OFFSET, description="Items to skip.")] = 0,
) -> Page:
    return Page(limit=limit, offset=offset)


WithPage = Annotated[Page, Depends(_page)]


def next_offset(page: Page, shown: int, total: int) -> int | None:
    """Where the next page starts, None when this one is the last."""
    following = page.offset + shown
    return following if shown and following < total else None
