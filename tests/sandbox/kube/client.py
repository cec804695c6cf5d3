"""A plain HTTP client for the stand-in: what was answered, with nothing in between."""

import io
import json
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

JSON = "application/json"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


class Reply(NamedTuple):
    code: int
    body: Any

    @property
    def revision(self):
        return self.body["metadata"]["resourceVersion"]

    @property
    def fields(self):
        return [cause["field"] for cause in self.body["details"]["causes"]]

    @property
    def names(self):
        return [item["metadata"]["name"] for item in self.body["items"]]


class Client:
    def __init__(self, session, url):
        self.session = session
        self.url = url

    async def call(self, method, path, body=None, *, content_type=JSON, agent="tests/1", **query):
        headers = {"Content-Type": content_type, "User-Agent": agent}
        data = json.dumps(body) if body is not None and not isinstance(body, str) else body
        async with self.session.request(
            method,
            self.url + path,
            data=io.BytesIO((data or "").encode()),
            headers=headers,
            params=query,
        ) as answer:
            text = await answer.text()
            is_json = answer.content_type == JSON
            return Reply(answer.status, json.loads(text) if is_json else text)

    async def get(self, path, **query):
        return await self.call("GET", path, **query)

    async def post(self, path, body, **query):
        return await self.call("POST", path, body, **query)

    async def put(self, path, body, **query):
        return await self.call("PUT", path, body, **query)

    async def merge(self, path, body, **query):
        return await self.call("PATCH", path, body, content_type=MERGE, **query)

    async def json_patch(self, path, *operations, **query):
        return await self.call("PATCH", path, operations, content_type=JSON_PATCH, **query)

    async def apply(self, path, body, *, manager="engine", **query):
        return await self.call(
            "PATCH", path, body, content_type=APPLY, fieldManager=manager, **query
        )

    async def delete(self, path, body=None, **query):
        return await self.call("DELETE", path, body, **query)

    @asynccontextmanager
    async def watch(self, path, *, seconds=5, **query):
        """The events of a watch, one at a time, as (type, object)."""
        params = {"watch": "true", "timeoutSeconds": seconds, **query}
        async with self.session.get(self.url + path, params=params) as answer:
            yield _events(answer)


async def _events(answer):
    async for line in answer.content:
        event = json.loads(line)
        yield event["type"], event["object"]


@asynccontextmanager
async def connected(url):
    async with aiohttp.ClientSession() as session:
        yield Client(session, url)
