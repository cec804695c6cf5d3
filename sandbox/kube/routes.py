"""HTTP in, HTTP out: which verb a request is, and how answers and failures go back."""

import logging
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web

from sandbox.kube import openapi, requests, status
from sandbox.kube.discovery import discovered
from sandbox.kube.documents import Document, encode
from sandbox.kube.faults import Disconnected, Faults, Mode
from sandbox.kube.lists import listed
from sandbox.kube.operations import Operations
from sandbox.kube.patches import json_patched, merge_patched, strategic_patched
from sandbox.kube.requests import APPLY, JSON, JSON_PATCH, MERGE, STRATEGIC
from sandbox.kube.resources import Registry
from sandbox.kube.status import ApiError, PathUnknown, Reason
from sandbox.kube.store import Store
from sandbox.kube.tables import Form, wanted_form
from sandbox.kube.targets import Answer, Target
from sandbox.kube.views import list_bytes
from sandbox.kube.watches import watch

_log = logging.getLogger(__name__)

FAULTS_PATH = "/sandbox/faults"
_HEALTH_PATHS = frozenset({"/healthz", "/livez", "/readyz"})
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class Api:
    """The API over HTTP. `handle` never raises: each failure becomes the answer it stands for."""

    def __init__(
        self, store: Store, registry: Registry, operations: Operations, faults: Faults
    ) -> None:
        self._store = store
        self._registry = registry
        self._operations = operations
        self._faults = faults

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except ApiError as failure:
            return _failed(failure)
        except PathUnknown:
            return web.Response(status=HTTPStatus.NOT_FOUND, text="404 page not found\n")
        except Disconnected:
            _disconnect(request)
            return web.Response()
        except web.HTTPRequestEntityTooLarge as failure:
            code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            return _failed(ApiError(code, Reason.TOO_LARGE, failure.text or ""))
        except Exception as bug:  # noqa: BLE001  # at this border a bug must become a 500
            _log.exception("%s %s failed", request.method, request.path)
            code = HTTPStatus.INTERNAL_SERVER_ERROR
            message = f"Internal error occurred: {type(bug).__name__}: {bug}"
            return _failed(ApiError(code, Reason.INTERNAL_ERROR, message))

    async def release(self, _: web.Application) -> None:
        """End what would last: watches, and calls that hang. No new ones are taken by then."""
        self._faults.clear()
        self._store.end_watches()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        # Nobody but this machine may reach the API: also no web page under a name of its own.
        if request.url.host not in _LOCAL_HOSTS:
            raise status.bad_request(f"this server is not called {request.url.host}")
        if request.path == FAULTS_PATH:
            return await self._fault(request)
        await self._faults.pass_through(request.path)
        if request.path in _HEALTH_PATHS:
            return web.Response(text="ok")
        if request.path.startswith(openapi.ROOT):
            return _json(encode(openapi.described(request.path, self._registry)))
        if request.method == hdrs.METH_GET and _is_discovery(request.path):
            return _json(encode(discovered(request.path, self._registry)))
        return await self._serve(request)

    async def _fault(self, request: web.Request) -> web.Response:
        match request.method:
            case hdrs.METH_GET:
                return _json(encode(self._faults.shown()))
            case hdrs.METH_PUT:
                wanted = requests.parsed_body(await request.read(), is_yaml=False)
                shown = self._faults.set(wanted)
                self._store.wake_watches()
                return _json(encode(shown))
            case hdrs.METH_DELETE:
                return _json(encode(self._faults.clear()))
            case method:
                raise status.method_not_allowed(f"{method} is not supported here")

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        target = requests.target(request.path, self._registry)
        match request.method, bool(target.name):
            case hdrs.METH_GET, is_one:
                return await self._read(request, target, is_one=is_one)
            case hdrs.METH_POST, False:
                return await self._create(request, target)
            case hdrs.METH_PUT, True:
                return await self._replace(request, target)
            case hdrs.METH_PATCH, True:
                return await self._patch(request, target)
            case hdrs.METH_DELETE, is_one if not target.subresource:
                return await (self._delete if is_one else self._delete_all)(request, target)
            case method, _:
                raise status.method_not_allowed(f"{method} is not supported on {request.path}")

    async def _read(
        self, request: web.Request, target: Target, *, is_one: bool
    ) -> web.StreamResponse:
        if requests.is_watch(request.query):
            return await self._watch(request, target)
        form = _form(request)
        if is_one:
            return _json(form.one(self._operations.get(target), target.resource))
        return _json(listed(self._store, target, request.query, form))

    async def _create(self, request: web.Request, target: Target) -> web.Response:
        body = requests.body_document(await request.read(), request.content_type)
        options = requests.write_options(request.query, _user_agent(request))
        return _written(self._operations.create(target, body, options))

    async def _replace(self, request: web.Request, target: Target) -> web.Response:
        body = requests.body_document(await request.read(), request.content_type)
        options = requests.write_options(request.query, _user_agent(request))
        return _written(self._operations.replace(target, body, options))

    async def _patch(self, request: web.Request, target: Target) -> web.Response:
        content_type = request.content_type
        strategic = () if target.resource.is_custom else (STRATEGIC,)
        accepted = (JSON_PATCH, MERGE, APPLY, *strategic)
        if content_type not in accepted:
            raise status.unsupported_media_type(content_type, accepted)
        patch = requests.parsed_body(await request.read(), is_yaml=content_type == APPLY)
        options = requests.write_options(request.query, _user_agent(request), content_type)
        if content_type != JSON_PATCH and not isinstance(patch, dict):
            raise status.bad_request("the patch must be an object")
        if content_type == APPLY:
            return _written(self._operations.apply(target, patch, options))
        live, source = self._operations.patch_source(target)
        patched = _patched(content_type, source, patch, target)
        if not isinstance(patched, dict):
            raise status.unprocessable("the patched object is none any more")
        return _written(self._operations.update(target, live, patched, options))

    async def _delete(self, request: web.Request, target: Target) -> web.Response:
        body = await _optional_body(request)
        options = requests.delete_options(request.query, body)
        return _written(self._operations.delete(target, options))

    async def _delete_all(self, request: web.Request, target: Target) -> web.Response:
        body = await _optional_body(request)
        options = requests.delete_options(request.query, body)
        deleted = self._operations.delete_all(requests.selection(target, request.query), options)
        metadata = {"resourceVersion": str(self._store.revision)}
        return _json(list_bytes(target.resource, deleted, metadata))

    async def _watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        wanted = requests.watch_request(target, request.query, _form(request))
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: JSON})
        response.enable_chunked_encoding()
        await response.prepare(request)
        async with aclosing(watch(self._store, wanted)) as chunks:
            async for lines in chunks:
                await self._faults.silence(request.path)
                if self._faults.mode_for(request.path) is Mode.ERROR:
                    break
                if lines:
                    await response.write(lines)
        await response.write_eof()
        return response


def _is_discovery(path: str) -> bool:
    where = requests.place(path)
    return where is None or not where.rest


async def _optional_body(request: web.Request) -> Document:
    body = await request.read()
    return requests.body_document(body, request.content_type) if body else {}


def _patched(content_type: str, source: Document, patch: Any, target: Target) -> Any:
    if content_type == JSON_PATCH:
        return json_patched(source, patch)
    if content_type == MERGE:
        return merge_patched(source, patch)
    return strategic_patched(source, patch, target.resource.schema)


def _form(request: web.Request) -> Form:
    return wanted_form(request.headers.get(hdrs.ACCEPT, ""), request.query)


def _user_agent(request: web.Request) -> str:
    return request.headers.get(hdrs.USER_AGENT, "")


def _disconnect(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _written(answer: Answer) -> web.Response:
    return _json(answer.body, HTTPStatus.CREATED if answer.is_new else HTTPStatus.OK)


def _failed(failure: ApiError) -> web.Response:
    return _json(encode(failure.body()), failure.code)


def _json(body: bytes, code: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(body=body, status=code, content_type=JSON)
