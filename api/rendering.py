"""Writes a schema as a JSON response, once: FastAPI would validate and encode it again."""

from collections.abc import Mapping

from fastapi import Response
from pydantic import BaseModel
from pydantic_core import to_json

JSON_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"


def as_json(body: BaseModel, *, exclude_none: bool = False) -> bytes:
    return to_json(body, exclude_none=exclude_none)


def rendered(
    body: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        content=as_json(body), status_code=status, headers=headers, media_type=JSON_TYPE
    )
