"""Virtual models: which backends may stand together, and how a route goes from one set to another."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import AlreadyExists, InvalidTraffic, NotFound
from domain.virtual_models import (
    Backends,
    BackendStatus,
    BackendWish,
    VirtualModel,
    VirtualModelStatus,
    added,
    changed,
    require_name,
    route_name,
    status_of,
    without,
)
from domain.virtual_routes import Layout, Ref, layout_of, stages, way_back

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def wish(name="aws", override=None, *, weight=1, priority=0, namespace="tidegate"):
    return BackendWish(
        name=name,
        namespace=namespace,
        model_name_override=override,
        weight=weight,
        priority=priority,
    )


def backends(*wishes):
    """Each with the number of its turn as its id."""
    listed: Backends = ()
    for number, one in enumerate(wishes, start=1):
        listed = added(listed, one, backend_id=UUID(int=number), now=NOW)
    return listed


def patched(listed, number, **changes):
    backend = next(one for one in listed if one.id == UUID(int=number))
    now_is = {
        "weight": backend.weight,
        "priority": backend.priority,
        "model_name_override": backend.model_name_override,
    }
    return changed(listed, backend, **{**now_is, **changes}, now=LATER)


def dropped(listed, number):
    return without(listed, next(one for one in listed if one.id == UUID(int=number)))


def ref(name="aws", override=None, *, weight=1, priority=0, namespace="tidegate"):
    return Ref(
        name=name,
        namespace=namespace,
        model_name_override=override,
        weight=weight,
        priority=priority,
    )


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


def test_a_fallback_may_be_all_that_is_left():
    listed = dropped(backends(wish("a"), wish("b", weight=0, priority=1)), 1)

    assert layout_of(listed) == Layout(refs=(ref("b", weight=0), ref("b")), levels=1)


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


def test_usage_example_4_is_one_level_divided_by_weight():
    listed = backends(
        wish("aws-anthropic-backend", "anthropic.claude-sonnet-4-20250514-v1:0", weight=50),
        wish("gcp-anthropic-backend", "claude-sonnet-4@20250514", weight=50),
    )

    layout = layout_of(listed)
    assert [(one.weight, one.priority) for one in layout.refs] == [(50, 0), (50, 0)]
    assert layout.levels == 1


def test_usage_example_5_keeps_its_fallback_though_its_weight_is_0():
    listed = backends(
        wish("openai-backend", "gpt-5-nano", weight=100),
        wish("openai-backend", "gpt-5-nano-mini", weight=0, priority=1),
    )

    layout = layout_of(listed)
    assert [(one.weight, one.priority) for one in layout.refs] == [(100, 0), (1, 1)]
    assert layout.levels == 2
    assert {status_of(one, listed) for one in listed} == {BackendStatus.ACTIVE}


def test_weight_0_beside_others_of_its_priority_is_never_asked():
    listed = backends(wish("a", weight=3), wish("b", weight=0))

    assert [status_of(one, listed) for one in listed] == ["active", "inactive"]
    assert [one.weight for one in layout_of(listed).refs] == [3, 0]


def test_priorities_are_written_without_gaps():
    listed = backends(wish("a", priority=7), wish("b", priority=3), wish("c", priority=15))

    assert [one.priority for one in layout_of(listed).refs] == [1, 0, 2]


def test_a_hole_repeats_a_neighbour_without_weight():
    listed = dropped(backends(wish("a", priority=1), wish("b"), wish("c")), 2)

    assert layout_of(listed).refs == (ref("a", priority=1), ref("a", weight=0), ref("c"))


def test_the_first_backend_joins_without_weight():
    one = backends(wish("a", weight=5))

    assert stages((), one) == (
        Layout(refs=(ref("a", weight=0),), levels=1),
        Layout(refs=(ref("a", weight=5),), levels=1),
    )


def test_a_fallback_joins_only_once_the_gateway_falls_back():
    before = backends(wish("a", "x"))
    after = backends(wish("a", "x"), wish("a", "y", weight=0, priority=1))

    assert stages(before, after) == (
        Layout(refs=(ref("a", "x"), ref("a", "y", weight=0)), levels=2),
        Layout(refs=(ref("a", "x"), ref("a", "y", priority=1)), levels=2),
    )


def test_a_fallback_leaves_before_the_gateway_stops_to_fall_back():
    before = backends(wish("a", "x"), wish("a", "y", priority=1))

    assert stages(before, dropped(before, 2)) == (
        Layout(refs=(ref("a", "x"), ref("a", "y", weight=0)), levels=2),
        Layout(refs=(ref("a", "x"),), levels=1),
    )


def test_a_backend_that_becomes_a_fallback_does_so_in_two_steps():
    before = backends(wish("a"), wish("b"))

    assert stages(before, patched(before, 2, priority=1)) == (
        Layout(refs=(ref("a"), ref("b")), levels=2),
        Layout(refs=(ref("a"), ref("b", priority=1)), levels=2),
    )


def test_a_change_of_weights_is_one_step():
    before = backends(wish("a"), wish("b"))

    assert stages(before, patched(before, 2, weight=9)) == (
        Layout(refs=(ref("a"), ref("b", weight=9)), levels=1),
    )


def test_a_change_of_nothing_needs_no_step():
    listed = backends(wish("a"), wish("b", priority=1))
    assert stages(listed, listed) == ()


def test_the_last_backend_takes_the_route_with_it():
    assert stages(backends(wish("a")), ()) == ()
    assert way_back((), backends(wish("a"))) == ()


def test_the_way_back_lets_the_newcomer_go_the_way_it_came():
    before = backends(wish("a"))
    after = backends(wish("a"), wish("b", priority=1))

    assert way_back(before, after) == (
        Layout(refs=(ref("a"), ref("b", weight=0)), levels=2),
        Layout(refs=(ref("a"),), levels=1),
    )


WISHES = st.lists(
    st.builds(
        wish,
        st.sampled_from("abcd"),
        st.sampled_from([None, "x", "y"]),
        weight=st.integers(1, 9),
        priority=st.integers(0, 3),
    ),
    unique_by=lambda one: (one.name, one.model_name_override),
    max_size=6,
)


def weighted(layout):
    return {(one.name, one.model_name_override) for one in layout.refs if one.weight}


def identities(listed):
    return {(one.name, one.model_name_override) for one in listed}


@given(WISHES, st.data())
def test_no_stage_gives_traffic_to_who_just_joined_or_is_about_to_leave(wishes, data):
    more = backends(*wishes)
    gone = data.draw(st.sets(st.sampled_from([b.id for b in more]))) if more else set()
    less = tuple(b for b in more if b.id not in gone)
    for before, after in ((less, more), (more, less)):
        path = stages(before, after)
        if not path:
            continue
        assert path[-1] == layout_of(after)
        assert gone == set() or weighted(path[0]) <= identities(less)
        assert all(weighted(layout) for layout in path[1:])


@given(WISHES, WISHES)
def test_a_lower_priority_never_stands_in_a_route_that_does_not_fall_back(before, after):
    start, end = backends(*before), backends(*after)
    levels = layout_of(start).levels
    for layout in stages(start, end):
        used = {one.priority for one in layout.refs if one.weight}
        assert layout.levels > max(used, default=0)
        # While the policy changes, what stands is still obeyed by the rules of the one before.
        assert layout.levels >= levels or layout == layout_of(end)
        levels = layout.levels
