"""How large a body may be. Pure ASGI; the refusal is raised where the body is read."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY_BYTES = 1 << 20
_TOO_LARGE = 413


class Limited:
    """Counts what comes in, declared or not, and stops at the limit."""

    def __init__(self, app: ASGIApp, largest: int = LARGEST_BODY_BYTES) -> None:
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD"}:
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        expected = int(declared) if declared.isdecimal() else 0
        counted = 0

        async def counting() -> Message:
            nonlocal counted
            if expected > self._largest:
                raise HTTPException(_TOO_LARGE)
            message = await receive()
            counted += len(message.get("body", b""))
            if counted > self._largest:
                raise HTTPException(_TOO_LARGE)
            return message

        await self._app(scope, counting, send)
