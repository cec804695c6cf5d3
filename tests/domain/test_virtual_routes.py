"""How backends stand in a route, and the stages from one layout to the next."""

from hypothesis import given
from hypothesis import strategies as st

from domain.virtual_models import BackendStatus, status_of
from domain.virtual_routes import Layout, layout_of, stages, way_back
from tests.domain.providers import backends, dropped, patched, ref, wish


def test_a_fallback_may_be_all_that_is_left():
    listed = dropped(backends(wish("a"), wish("b", weight=0, priority=1)), 1)

    assert layout_of(listed) == Layout(refs=(ref("b", weight=0), ref("b")), levels=1)


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
