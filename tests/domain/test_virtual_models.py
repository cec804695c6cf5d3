"""Virtual models: names, and which backends may stand together."""

from uuid import UUID

import pytest

from domain.errors import AlreadyExists, InvalidTraffic, NotFound
from domain.virtual_models import (
    VirtualModel,
    VirtualModelStatus,
    added,
    require_name,
    route_name,
)
from tests.domain.providers import LATER, NOW, backends, dropped, patched, wish


def fields(error):
    return [violation.field for violation in error.value.violations]


@pytest.mark.parametrize(
    "name",
    [
        "claude-4-sonnet",
        "gpt-5-nano",
        "meta/llama-3.1",
        "Qwen3:8b",
        "a",
        "x@2",
        "a/backend",
        "a" * 200,
    ],
)
def test_a_name_that_clients_use_is_taken(name):
    assert require_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "-a",
        "a/",
        "/a",
        "a//b",
        "a/../b",
        "a/backends",
        "backends",
        "ä",
        "a\n",
        "a" * 201,
    ],
)
def test_a_name_that_nobody_could_ask_for_is_refused(name):
    with pytest.raises(InvalidTraffic) as error:
        require_name(name)
    assert fields(error) == ["name"]


def test_a_backend_takes_the_lowest_free_position():
    listed = dropped(backends(wish("a"), wish("b"), wish("c")), 2)
    joined = added(listed, wish("d"), backend_id=UUID(int=9), now=NOW)

    assert [(one.name, one.position) for one in joined] == [("a", 0), ("d", 1), ("c", 2)]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (wish(weight=-1), "weight"),
        (wish(weight=1_000_001), "weight"),
        (wish(weight=0), "weight"),
        (wish(priority=-1), "priority"),
        (wish(priority=16), "priority"),
        (wish(override=""), "model_name_override"),
        (wish(override="two words"), "model_name_override"),
        (wish(override="x" * 257), "model_name_override"),
        (wish(name="Not_A_Name"), "ai_service_backend_name"),
        (wish(name="a..b"), "ai_service_backend_name"),
        (wish(namespace="a.b"), "ai_service_backend_namespace"),
    ],
)
def test_a_backend_out_of_bounds_is_refused_by_the_name_of_its_field(wrong, field):
    with pytest.raises(InvalidTraffic) as error:
        backends(wrong)
    assert fields(error) == [field]


def test_a_backend_may_stand_twice_under_two_names():
    listed = backends(wish("openai", "nano"), wish("openai", "mini"), wish("openai"))

    assert [one.model_name_override for one in listed] == ["nano", "mini", None]


@pytest.mark.parametrize("override", ["nano", None])
def test_the_same_backend_under_the_same_name_exists_already(override):
    with pytest.raises(AlreadyExists, match="openai"):
        backends(wish("openai", override), wish("openai", override, priority=1))


def test_the_same_name_in_another_namespace_is_another_backend():
    assert len(backends(wish("openai"), wish("openai", namespace="other"))) == 2


def test_a_rename_must_not_meet_another_backend():
    listed = backends(wish("openai", "nano"), wish("openai", "mini", priority=1))
    with pytest.raises(AlreadyExists):
        patched(listed, 2, model_name_override="nano")


def test_there_is_room_for_as_many_as_a_rule_of_the_gateway_takes():
    full = backends(*(wish(f"b{number}") for number in range(16)))
    with pytest.raises(InvalidTraffic, match="at most 16"):
        added(full, wish("one-more"), backend_id=UUID(int=99), now=NOW)


def test_a_change_keeps_the_position_and_tells_when():
    listed = patched(backends(wish("a"), wish("b")), 1, weight=7, priority=2)

    assert [(one.name, one.weight, one.priority, one.position) for one in listed] == [
        ("a", 7, 2, 0),
        ("b", 1, 0, 1),
    ]
    assert [one.updated_at for one in listed] == [LATER, NOW]


def test_a_change_to_what_is_already_so_changes_nothing():
    listed = backends(wish("a"), wish("b"))
    assert patched(listed, 1, weight=1) == listed


def test_the_first_priority_keeps_weight():
    listed = backends(wish("a"), wish("b", weight=0))
    with pytest.raises(InvalidTraffic, match="priority 0"):
        patched(listed, 1, weight=0)
    with pytest.raises(InvalidTraffic, match="priority 0"):
        dropped(listed, 1)


def test_an_unknown_backend_is_not_found():
    model = VirtualModel(
        id=UUID(int=1),
        project_id=UUID(int=2),
        name="gpt-5-nano",
        namespace="tidegate",
        route_name=route_name(UUID(int=1)),
        created_at=NOW,
        updated_at=NOW,
    )
    assert model.status is VirtualModelStatus.EMPTY
    with pytest.raises(NotFound):
        model.backend(UUID(int=3))
