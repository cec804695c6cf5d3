"""docs/virtual-models.md: every call can be made, every table is the one of the code."""

import json
import re
import shlex

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from api.app import create_app
from api.routes import PREFIX
from api.schemas.virtual_models import BackendIn, BackendPatch, VirtualModelIn
from domain.virtual_models import (
    LONGEST_NAME,
    MOST_BACKENDS,
    MOST_PRIORITY,
    MOST_WEIGHT,
    BackendWish,
    require_name,
)
from sandbox.providers import FAILING_MODEL, PROVIDERS, backend_name
from tests.docs.pages import blocks, option, page, search, section, tables

TEXT = page("virtual-models")
DOCUMENT = create_app().openapi()["paths"]
CALLS = [
    shlex.split(call)
    for block in blocks(TEXT, "sh")
    for call in re.split(r"\n(?=curl )", block.replace("\\\n", " "))
]
OURS = [words for words in CALLS if any(word.startswith("$API") for word in words)]
BODIES: list[tuple[str, type[BaseModel]]] = [
    (r"\$API/virtual_models", VirtualModelIn),
    (r"\$API/virtual_models/[^/]+/backends", BackendIn),
    (r"\$API/virtual_models/[^/]+/backends/\$BACKEND", BackendPatch),
]


@pytest.mark.parametrize("words", OURS, ids=" ".join)
def test_every_call_can_be_made(words):
    (url,) = (word for word in words if word.startswith("$API"))
    method = option(words, "-X", "POST").lower()
    path = re.sub(r"^\$API", PREFIX, url)
    template = re.sub(r"virtual_models/[^/]+", "virtual_models/{name}", path)
    assert method in DOCUMENT[template.replace("$BACKEND", "{backend_id}")]
    schema = next(schema for pattern, schema in BODIES if re.fullmatch(pattern, url))
    wish = schema.model_validate(json.loads(option(words, "-d")))
    if isinstance(wish, VirtualModelIn):
        assert require_name(wish.name)
    if isinstance(wish, BackendIn):
        assert isinstance(wish.to_domain("tidegate"), BackendWish)
        assert wish.ai_service_backend_id in {backend_name(one) for one in PROVIDERS}


def test_there_are_calls_to_make():
    assert len(OURS) >= 7


def test_the_fields_have_the_defaults_that_are_told():
    (table,) = tables(section(TEXT, "The fields of a backend"))
    told = {row[0]: row[1] for row in table}
    info = BackendIn.model_fields
    assert told["weight"] == str(info["weight"].default)
    assert told["priority"] == str(info["priority"].default)
    assert told.keys() == info.keys() - {"ai_service_backend_id", "actor", "reason"}
    assert info["model_name_override"].default is None
    assert PydanticUndefined not in {one.default for one in info.values()}


def test_the_limits_are_those_of_the_code():
    weight, priority = search(r"0 to ([\d,]+): its share .* 0 to (\d+): 0 is asked first", TEXT)
    assert (int(weight.replace(",", "")), int(priority)) == (MOST_WEIGHT, MOST_PRIORITY)
    assert search(r"at most (\d+) backends", TEXT) == (str(MOST_BACKENDS),)
    assert search(r"at most (\d+) characters; no part", TEXT) == (str(LONGEST_NAME),)


def test_the_providers_are_those_of_the_sandbox():
    (table,) = tables(section(TEXT, "The providers of the sandbox"))
    assert {row[0]: row[1] for row in table} == {backend_name(one): one for one in PROVIDERS}
    assert f"`{FAILING_MODEL}`" in section(TEXT, "The providers of the sandbox")
