"""The ASGI application: OpenAI's and KServe's endpoints, health, metrics, the switch for faults."""

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from sandbox.behaviour import BehaviourError
from sandbox.model_server import replies
from sandbox.model_server.metrics import Metrics
from sandbox.model_server.model import Draw, Model
from sandbox.model_server.predictions import (
    Question,
    count_of,
    predictions,
    question,
    readiness,
)
from sandbox.model_server.replies import Replies

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Endpoint = Callable[["Exchange"], Awaitable[None]]

_JSON = b"application/json"
_OVERRIDE_HEADER = b"x-model-name-override"
_BYTES_PER_TOKEN = 4


class Exchange:
    """One request and the way to answer it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, served_by: bytes) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.status = 0
        self._scope = scope
        self._receive = receive
        self._send = send
        self._served_by = served_by

    async def body(self) -> bytes:
        message = await self._receive()
        if not message.get("more_body"):
            return message.get("body", b"")  # type: ignore[no-any-return] # ASGI says bytes
        parts = [message.get("body", b"")]
        while message.get("more_body"):
            message = await self._receive()
            parts.append(message.get("body", b""))
        return b"".join(parts)

    async def answer(self, status: int, body: bytes, content_type: bytes = _JSON) -> None:
        await self.begin(status, content_type, (b"content-length", b"%d" % len(body)))
        await self.send(body, more=False)

    async def begin(self, status: int, content_type: bytes, *more: tuple[bytes, bytes]) -> None:
        self.status = status
        headers = [(b"content-type", content_type), (b"x-served-by", self._served_by), *more]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send(self, body: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self._scope["headers"] if key == name), None)


class Application:
    """Answers as `name`; what it knows of the model it asks `model` for.

    Where several are mounted, `mounted` has each by the name that it is asked for by, and `model`,
    the first of them, answers for everything else: health waits for all, faults are the first's.
    Predictions are asked for by `served_as`, by default the name.
    """

    def __init__(
        self, name: str, model: Model, mounted: Mapping[str, Model], served_as: str = ""
    ) -> None:
        self._name = name
        self._served_as = served_as or name
        self._served_by = name.encode()
        self._model = model
        self._mounted = mounted
        self._metrics = Metrics(name)
        self._numbers = itertools.count(1)
        self._endpoints: dict[tuple[str, str], Endpoint] = {
            ("POST", "/v1/chat/completions"): self._chat,
            ("POST", "/v1/completions"): self._complete,
            ("GET", "/v1/models"): self._list_models,
            ("GET", "/health"): self._health,
            ("GET", "/v2/health/ready"): self._health,
            ("GET", "/metrics"): self._show_metrics,
            ("GET", "/sim/behaviour"): self._show_behaviour,
            ("PUT", "/sim/behaviour"): self._change_behaviour,
        }
        self._paths = {path for _, path in self._endpoints}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send, self._served_by)
        endpoint = self._endpoints.get((exchange.method, exchange.path))
        path = exchange.path if exchange.path in self._paths else "none"
        asked = question(exchange.path) if endpoint is None else None
        if endpoint is not None:
            await endpoint(exchange)
        elif asked is not None and asked.asked.method == exchange.method:
            path = asked.asked.value
            await self._predict(exchange, asked)
        else:
            await self._refuse(exchange)
        self._metrics.responded(exchange.method, path, exchange.status)

    async def _predict(self, exchange: Exchange, question: Question) -> None:
        asked, body = question.asked, await exchange.body()
        if question.model != self._served_as:
            await _fail(exchange, 404, f"no model {question.model!r} here")
            return
        if not self._is_loaded():
            await _fail(exchange, 503, "the model is loading")
            return
        if asked.method == "GET":
            await exchange.answer(200, readiness(question.model))
            return
        count = count_of(asked, _decoded(body))
        if isinstance(count, str):
            await _fail(exchange, 400, count)
            return
        draw = self._model.draw(question.model)
        await asyncio.sleep(draw.total_seconds)
        if draw.error_status:
            await _fail(exchange, draw.error_status, "simulated fault")
            return
        value = self._model.behaviour.value
        await exchange.answer(200, predictions(asked, question.model, count, value))

    async def _chat(self, exchange: Exchange) -> None:
        await self._generate(exchange, Replies(chat=True), "messages")

    async def _complete(self, exchange: Exchange) -> None:
        await self._generate(exchange, Replies(chat=False), "prompt")

    async def _generate(self, exchange: Exchange, answers: Replies, prompt: str) -> None:
        body = await exchange.body()
        request = _decoded(body)
        problem = _problem(request, prompt)
        if problem or not isinstance(request, dict):
            await _fail(exchange, 400, problem)
            return
        if not self._is_loaded():
            await _fail(exchange, 503, "the model is loading")
            return
        override = exchange.header(_OVERRIDE_HEADER)
        name = override.decode("latin-1") if override else request["model"]
        self._metrics.running += 1
        try:
            draw = self._mounted.get(name, self._model).draw(name)
            prompt_tokens = 1 + len(body) // _BYTES_PER_TOKEN
            respond = self._stream if request.get("stream") else self._respond
            await respond(exchange, answers, draw, name, prompt_tokens)
        finally:
            self._metrics.running -= 1

    async def _respond(
        self, exchange: Exchange, answers: Replies, draw: Draw, name: str, prompt_tokens: int
    ) -> None:
        await asyncio.sleep(draw.total_seconds)
        if draw.error_status:
            await _fail(exchange, draw.error_status, "simulated fault")
            return
        body = answers.whole(
            model=name, number=next(self._numbers), prompt_tokens=prompt_tokens, tokens=draw.tokens
        )
        await exchange.answer(200, body)
        self._metrics.generated(
            prompt_tokens=prompt_tokens,
            tokens=draw.tokens,
            first_token_seconds=min(draw.first_token_seconds, draw.total_seconds),
            total_seconds=draw.total_seconds,
        )

    async def _stream(
        self, exchange: Exchange, answers: Replies, draw: Draw, name: str, prompt_tokens: int
    ) -> None:
        began = time.monotonic()
        await asyncio.sleep(draw.first_token_seconds)
        if draw.error_status:
            await _fail(exchange, draw.error_status, "simulated fault")
            return
        await exchange.begin(200, b"text/event-stream; charset=utf-8")
        first = time.monotonic() - began
        due = began + draw.first_token_seconds
        chunks = answers.chunks(model=name, number=next(self._numbers), tokens=draw.tokens)
        for position, chunk in enumerate(chunks):
            if position:
                due += draw.token_gap_seconds
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            await exchange.send(chunk, more=True)
        await exchange.send(replies.STREAM_END, more=False)
        self._metrics.generated(
            prompt_tokens=prompt_tokens,
            tokens=draw.tokens,
            first_token_seconds=first,
            total_seconds=time.monotonic() - began,
        )

    async def _list_models(self, exchange: Exchange) -> None:
        await exchange.answer(200, replies.models(self._name, *self._mounted))

    def _is_loaded(self) -> bool:
        return self._model.is_loaded and all(m.is_loaded for m in self._mounted.values())

    async def _health(self, exchange: Exchange) -> None:
        if self._is_loaded():
            await exchange.answer(200, b"{}")
        else:
            await _fail(exchange, 503, "the model is loading")

    async def _show_metrics(self, exchange: Exchange) -> None:
        text = self._metrics.text().encode()
        await exchange.answer(200, text, self._metrics.content_type.encode())

    async def _show_behaviour(self, exchange: Exchange) -> None:
        await exchange.answer(200, replies.encoded(self._model.behaviour.parameters()))

    async def _change_behaviour(self, exchange: Exchange) -> None:
        parameters = _decoded(await exchange.body())
        if not isinstance(parameters, dict):
            await _fail(exchange, 400, "the body must be a JSON object of parameters")
            return
        try:
            behaviour = self._model.change(parameters)
        except BehaviourError as error:
            await _fail(exchange, 400, str(error))
        else:
            await exchange.answer(200, replies.encoded(behaviour.parameters()))

    async def _refuse(self, exchange: Exchange) -> None:
        known = exchange.path in self._paths
        await _fail(exchange, 405 if known else 404, f"no {exchange.method} {exchange.path} here")


async def _fail(exchange: Exchange, status: int, message: str) -> None:
    await exchange.answer(status, replies.error(message, status=status))


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _problem(request: Any, prompt: str) -> str:
    if not isinstance(request, dict):
        return "the body must be a JSON object"
    if not isinstance(request.get("model"), str):
        return "model must be a string"
    return "" if request.get(prompt) else f"{prompt} must not be empty"
