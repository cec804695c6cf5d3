"""The bodies that OpenAI's API answers with: completions, stream chunks, errors, the model list."""

import json
import time
from collections.abc import Iterator
from typing import Any

STREAM_END = b"data: [DONE]\n\n"

_ENCODER = json.JSONEncoder(separators=(",", ":"))
_WORD = " tide"


def encoded(document: Any) -> bytes:
    return _ENCODER.encode(document).encode()


def error(message: str, *, status: int) -> bytes:
    kind = "server_error" if status >= 500 else "invalid_request_error"  # noqa: PLR2004 - HTTP's border
    return encoded(
        {"error": {"message": message, "type": kind, "param": None, "code": str(status)}}
    )


def models(*names: str) -> bytes:
    alike = {"object": "model", "created": int(time.time()), "owned_by": "tidegate"}
    return encoded({"object": "list", "data": [{"id": name, **alike} for name in names]})


class Replies:
    """Renders the answers of one request kind; `chat` or plain completions."""

    def __init__(self, *, chat: bool) -> None:
        self._chat = chat
        self._kind = "chat.completion" if chat else "text_completion"
        self._prefix = "chatcmpl" if chat else "cmpl"

    def whole(self, *, model: str, number: int, prompt_tokens: int, tokens: int) -> bytes:
        text = _WORD * tokens
        content: dict[str, Any] = (
            {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        )
        return encoded(
            {
                **self._head(self._kind, model, number),
                "choices": [{"index": 0, **content, "finish_reason": "length"}],
                "usage": {
                    "prompt_tokens": prompt_tokens,
                    "completion_tokens": tokens,
                    "total_tokens": prompt_tokens + tokens,
                },
            }
        )

    def chunks(self, *, model: str, number: int, tokens: int) -> Iterator[bytes]:
        """One server-sent event a token; the last one says why the answer ended."""
        kind = "chat.completion.chunk" if self._chat else self._kind
        head = self._head(kind, model, number)
        for position in range(tokens):
            content: dict[str, Any] = (
                {"delta": {"content": _WORD}} if self._chat else {"text": _WORD}
            )
            finish = "length" if position == tokens - 1 else None
            choice = {"index": 0, **content, "finish_reason": finish}
            yield b"data: " + encoded({**head, "choices": [choice]}) + b"\n\n"

    def _head(self, kind: str, model: str, number: int) -> dict[str, Any]:
        return {
            "id": f"{self._prefix}-{number:x}",
            "object": kind,
            "created": int(time.time()),
            "model": model,
        }
